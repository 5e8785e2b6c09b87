"""What a user adds to a model: notes, a default VAE, a dtype, a preview picture.

Kept beside the model as `<name>.safelight.json` and `<name>.safelight.png`, where moving, copying and other installations find
them; in a folder that cannot be written, below the outputs instead. Files of other programs are never written over.
"""

import errno
import hashlib
import io
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipelines import pictures
from pipelines.errors import InvalidRequest, StorageError

from .files import sentence, write_atomic

LONGEST_NOTES = 20_000  # characters
PREVIEW_SIDE = 512  # pixels of the longer side at most
_MOST_BYTES = 2**20
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class Annotation:
    """All may be empty. `dtype` is one of `names.DTYPES`; `source` is where the model was downloaded from."""

    notes: str = ""
    default_vae: str = ""
    dtype: str = ""
    source: str = ""


class Annotations:
    """`kept` is the folder for models in folders that cannot be written."""

    def __init__(self, kept: Path) -> None:
        self._kept = kept

    def read(self, model: Path) -> Annotation:
        """Never raises: what is absent or damaged is empty."""
        for path in self._there(model, ".safelight.json"):
            with suppress(OSError, ValueError, RecursionError):
                if path.stat().st_size <= _MOST_BYTES:
                    return _annotation(json.loads(path.read_bytes()))
        return Annotation()

    def change(self, model: Path, **values: str) -> Annotation:
        """Changes what is named, leaves the rest; raises InvalidRequest for notes that are too long, StorageError."""
        if len(values.get("notes", "")) > LONGEST_NOTES:
            raise InvalidRequest(f"notes must have at most {LONGEST_NOTES:,} characters; got {len(values['notes']):,}.", "notes")
        changed = replace(self.read(model), **values)
        filled = {key: value for key, value in asdict(changed).items() if value}
        if filled:
            self._write(model, ".safelight.json", json.dumps(filled, ensure_ascii=False, indent=2).encode() + b"\n")
        else:
            self._remove(model, ".safelight.json")
        return changed

    def preview(self, model: Path) -> Path | None:
        """The picture that the user has chosen, if any."""
        return next(iter(self._there(model, ".safelight.png")), None)

    def set_preview(self, model: Path, picture: bytes | None) -> None:
        """A small copy of a picture, or none any more. Raises BadPicture, StorageError."""
        if picture is None:
            self._remove(model, ".safelight.png")
            return
        image = pictures.open_rgb(picture)
        image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
        file = io.BytesIO()
        image.save(file, "PNG")
        self._write(model, ".safelight.png", file.getvalue())

    def _places(self, model: Path, ending: str) -> tuple[Path, Path]:
        stem = model if model.is_dir() else model.with_suffix("")
        hidden = hashlib.sha256(os.fsencode(model.absolute())).hexdigest()[:32]
        return stem.with_name(stem.name + ending), self._kept / f"{hidden}{ending}"

    def _there(self, model: Path, ending: str) -> list[Path]:
        """The newest first: a folder may have become one that cannot be written."""
        found = []
        for path in self._places(model, ending):
            with suppress(OSError):
                found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found, reverse=True)]

    def _write(self, model: Path, ending: str, data: bytes) -> None:
        beside, kept = self._places(model, ending)
        try:
            try:
                write_atomic(beside, data)
            except OSError as error:
                if error.errno not in _NOT_OURS:
                    raise
                write_atomic(kept, data)
            else:
                kept.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{sentence(error, model.parent)}; it was not kept.") from None

    def _remove(self, model: Path, ending: str) -> None:
        for path in self._places(model, ending):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StorageError(f"{sentence(error, path.parent)}; it is still there.") from None


def _annotation(found: Any) -> Annotation:
    known = found if isinstance(found, dict) else {}
    texts = {name: value for name in Annotation.__dataclass_fields__ if isinstance(value := known.get(name), str)}
    return Annotation(**{name: value[:LONGEST_NOTES] for name, value in texts.items()})
