"""The models there are, as JSON: what the files tell, what the user added, what is in memory, and their hashes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.adapters import guess
from pipelines.errors import InvalidRequest, UnknownName
from pipelines.library import KINDS, Entry, Library
from pipelines.names import AUTOMATIC, DTYPES
from pipelines.request import TASKS
from pipelines.shelves import PICKLES

from .annotations import Annotations
from .hashing import ModelHasher
from .ledger import Ledger
from .thumbnails import Thumbnails
from .views import NotHere

if TYPE_CHECKING:
    from pipelines.catalog import Catalog


OF_CHECKPOINTS = ("default_vae", "dtype")


def annotations(inner: Path) -> Path:
    """Where notes about models in folders that cannot be written are kept."""
    return inner / "annotations"


class Collection:
    """`status` is what the engine last said of itself; `busy` whether it works; `inner` is our folder below the outputs."""

    def __init__(
        self, catalog: "Catalog", ledger: Ledger, inner: Path, status: Callable[[], Mapping[str, Any]], busy: Callable[[], bool]
    ) -> None:
        self._catalog = catalog
        self._library = Library(catalog)
        self._status = status
        self._ledger = ledger
        self._notes = Annotations(annotations(inner))
        self._thumbnails = Thumbnails(inner / "thumbnails")
        self._hasher = ModelHasher(ledger, busy)

    def stop(self) -> None:
        self._hasher.stop()

    def listed(self, kind: str | None = None) -> dict[str, Any]:
        """The kinds with their numbers, and the models of one or of all. What is not hashed yet is put in line.

        Raises UnknownName.
        """
        entries = self._library.entries(kind)
        waiting = self._hasher.want(entry.weights for entry in entries if entry.weights and not entry.broken)
        counts = {name: sum(entry.kind == name for entry in entries) for name in KINDS}
        kinds = [{"name": name, "title": each.title, "plural": each.plural, "count": counts[name]} for name, each in KINDS.items()]
        status = self._status()
        return {"kinds": kinds, "models": [self._json(entry, status) for entry in entries], "hashing": waiting}

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """Its hash is computed next, if it is not known. Raises UnknownName."""
        entry = self._library.entry(kind, name)
        if entry.weights and not entry.broken:
            self._hasher.want([entry.weights], first=True)
        return self._json(entry, self._status())

    def path(self, kind: str, name: str) -> Path:
        """Where it lies. Raises UnknownName."""
        return self._library.entry(kind, name).path

    def preview(self, kind: str, name: str) -> Path:
        """A small JPEG of the chosen preview, else of the picture beside the model. Raises NotHere, BadPicture."""
        entry = self._library.entry(kind, name)
        for picture in (self._notes.preview(entry.path), entry.preview):
            if picture is not None:
                try:
                    return self._thumbnails.of(picture)
                except OSError:
                    break  # its folder is nothing to tell a guest
        raise NotHere("preview of", name)

    def annotate(self, kind: str, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Changes `notes`, `default_vae` or `dtype` (automatic takes these away). Raises InvalidRequest, UnknownName, StorageError."""
        entry = self._library.entry(kind, name)
        for field, value in changes.items():
            if field not in ("notes", *OF_CHECKPOINTS):
                raise InvalidRequest(f"{field[:80]} cannot be changed; notes, {' and '.join(OF_CHECKPOINTS)} can.", field[:80])
            if not isinstance(value, str):
                raise InvalidRequest(f"{field} must be text.", field)
            if field in OF_CHECKPOINTS and kind != "checkpoint":
                raise InvalidRequest(f"{field} belongs to checkpoints; this is {KINDS[kind].title}.", field)
        if changes.get("default_vae", AUTOMATIC) != AUTOMATIC:
            self._catalog.vae(changes["default_vae"])
        if changes.get("dtype", AUTOMATIC) not in (AUTOMATIC, *DTYPES):
            raise UnknownName("dtype", changes["dtype"], (AUTOMATIC, *DTYPES))
        self._notes.change(
            entry.path, **{field: "" if value == AUTOMATIC and field != "notes" else value for field, value in changes.items()}
        )
        return self.one(kind, name)

    def set_preview(self, kind: str, name: str, picture: bytes | None) -> dict[str, Any]:
        """A small copy of a picture, kept beside the model; None takes it away. Raises UnknownName, BadPicture, StorageError."""
        self._notes.set_preview(self._library.entry(kind, name).path, picture)
        return self.one(kind, name)

    def note_source(self, path: Path, source: str) -> None:
        """Remembers where a model was downloaded from."""
        self._notes.change(path, source=source)

    # -- default VAE --------------------------------------------------------------------------------------------------

    def default_vaes(self) -> dict[str, str]:
        """Checkpoints to the VAEs chosen for them, those that are there."""
        usable = {vae.name for vae in self._catalog.vaes() if not vae.broken}
        chosen = {info.name: self._notes.read(info.path).default_vae for info in self._catalog.checkpoints()}
        return {checkpoint: vae for checkpoint, vae in chosen.items() if vae in usable}

    def with_default_vae(self, draft: Mapping[str, Any]) -> Mapping[str, Any]:
        """A job's draft that leaves the VAE out takes its checkpoint's."""
        task = TASKS.get(str(draft.get("task")))
        if "vae" in draft or (task is not None and "vae" in task.unused):
            return draft
        vae = self.default_vaes().get(str(draft.get("checkpoint") or self._catalog.default_checkpoint()))
        return {**draft, "vae": vae} if vae else draft

    # -- JSON -----------------------------------------------------------------------------------------------------------

    def _json(self, entry: Entry, status: Mapping[str, Any]) -> dict[str, Any]:
        added = self._notes.read(entry.path)
        family = self._catalog.families.get(entry.family or "")
        picture = self._notes.preview(entry.path) or entry.preview
        hashes = self._hasher.known(entry.weights) if entry.weights else None
        is_checkpoint = entry.kind == "checkpoint"
        pickle = entry.path.suffix.lower() in PICKLES and not entry.path.is_dir()
        held = list((status.get("holds") or {}).get(entry.name, ())) if is_checkpoint else []
        return {
            "kind": entry.kind,
            "name": entry.name,
            "title": entry.title,
            "path": str(entry.path),
            "size_bytes": entry.size_bytes,
            "family": entry.family,
            "family_title": family.title if family else guess.TITLES.get(entry.family or ""),
            "base_model": entry.base_model,
            "detail": entry.detail,
            "broken": entry.broken,
            "summary": entry.summary,
            "trigger_words": list(entry.trigger_words),
            "tags": list(entry.tags),
            "prompt": entry.prompt,
            "native_size": list(entry.native_size) if entry.native_size else None,
            "tasks": list(entry.tasks),
            "loaded": is_checkpoint and entry.name in status.get("loaded", ()),
            "memory_bytes": sum(part["bytes"] for part in held) if held else None,
            "holds": held,
            "memory_plan": (status.get("plans") or {}).get(entry.name, "") if is_checkpoint else "",
            "pickle": pickle,
            "conversion_error": self._ledger.conversion(entry.path) if pickle else None,
            "preview": self._thumbnails.name(picture) if picture else None,
            "own_preview": self._notes.preview(entry.path) is not None,
            "notes": added.notes or entry.notes,
            "default_vae": (added.default_vae or AUTOMATIC) if is_checkpoint else None,
            "dtype": (added.dtype or AUTOMATIC) if is_checkpoint else None,
            "source": added.source or None,
            "sha256": hashes.sha256 if hashes else None,
            "short_hash": hashes.short if hashes else None,
            "hashing": bool(entry.weights and not hashes and not entry.broken),
            "autov3": hashes.autov3 if hashes and entry.kind == "lora" else None,
        }
