"""Files that outlive a crash: pictures and clips, uploads and kept latents, each written whole or not at all."""

import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import media
from pipelines.errors import StorageError

from .files import sentence, write_atomic
from .views import NotHere

LEAST_FREE = 200_000_000  # bytes
_NAME = re.compile(r"^\d{6}-(?P<seed>\d+)-(?P<job>[0-9a-f]{8})-(?P<picture>\d+)\.(png|mp4|webp)$")
_BLOB = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class SavedPicture:
    """A file of a picture or a clip as its name and header tell: `name` is relative to the outputs folder, with forward slashes."""

    id: str
    name: str
    job8: str
    picture: int
    seed: int
    width: int
    height: int
    created: float


def picture_id(name: str) -> str:
    """The id of a picture follows from its name in the outputs folder, so a lost journal does not change it."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def blobs_in(request: Mapping[str, Any]) -> list[str]:
    """The uploads that a request in JSON names, those of its modifiers too."""
    return re.findall(f'"({_BLOB.pattern})"', json.dumps(request))


class BlobStore:
    """Uploads in `folder`, each under the SHA-256 of its bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lent = folder / "lent"  # for live jobs, as long as one needs them

    def put(self, data: bytes) -> str:
        """Keeps the bytes (once, however often they come) and returns their id; raises OSError."""
        blob = hashlib.sha256(data).hexdigest()
        path = self.folder / blob[:2] / blob
        if not path.is_file():
            write_atomic(path, data)
        return blob

    def lend(self, data: bytes) -> str:
        """Like `put`, until `sweep_lent`; a power cut may take it. Raises OSError."""
        blob = hashlib.sha256(data).hexdigest()
        if not (self.folder / blob[:2] / blob).is_file():
            self.lent.mkdir(parents=True, exist_ok=True)
            part = self.lent / f"{blob}.{uuid.uuid4().hex[:8]}.part"
            part.write_bytes(data)
            part.replace(self.lent / blob)
        return blob

    def keep(self, blob: str) -> None:
        """What is merely lent is kept from now on; raises OSError."""
        if (self.lent / blob).is_file():
            self.put((self.lent / blob).read_bytes())

    def sweep_lent(self, wanted: set[str], spared: float = 0.0) -> None:
        """Removes what is lent and not `wanted`, unless it was lent in the last `spared` seconds."""
        latest = time.time() - spared
        for path in self.lent.glob("*"):
            with suppress(OSError):
                if path.name not in wanted and path.stat().st_mtime <= latest:
                    path.unlink()

    def path(self, blob: str) -> Path:
        """Raises NotHere."""
        found = (path for path in (self.folder / blob[:2] / blob, self.lent / blob) if path.is_file())
        path = next(found, None) if _BLOB.fullmatch(blob) else None
        if path is None:
            raise NotHere("upload", blob)
        return path

    def read(self, blob: str) -> bytes:
        """Raises NotHere."""
        return self.path(blob).read_bytes()


class Store:
    """The outputs folder: `<day>/<time>-<seed>-<job>-<picture>.png` (clips end as `media.ENDINGS` says), `.safelight/` for what is ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inner = folder / ".safelight"
        self.blobs = BlobStore(self.inner / "blobs")
        self.latents = self.inner / "latents"

    def prepare(self) -> None:
        """Makes the folders, tries a write and sweeps what crashes left; raises StorageError with one sentence."""
        if self.folder.exists() and not self.folder.is_dir():
            raise StorageError(f"The outputs folder {self.folder} is a file; name a folder with --outputs.")
        try:
            for folder in (self.blobs.folder, self.latents):
                folder.mkdir(parents=True, exist_ok=True)
            write_atomic(self.inner / "writable", b"")
            self.blobs.sweep_lent(set())
            for folder in (self.inner, *self._days()):
                for part in folder.rglob("*.part"):
                    part.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{sentence(error, self.folder)}; name another outputs folder with --outputs.") from error

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.folder).free

    def check_room(self) -> None:
        """Raises StorageError when the folder is gone or less than 200 MB are free."""
        if not self.inner.is_dir():
            raise StorageError(f"The outputs folder {self.folder} is no longer there or cannot be read.")
        free = self.free_bytes()
        if free < LEAST_FREE:
            raise StorageError(
                f"Only {free / 1e6:.0f} MB are free in the outputs folder {self.folder}; new jobs need {LEAST_FREE / 1e6:.0f} MB."
            )

    def keep_upload(self, data: bytes) -> str:
        """The upload's id; raises StorageError with one sentence."""
        self.check_room()
        try:
            return self.blobs.put(data)
        except OSError as error:
            raise StorageError(f"{sentence(error, self.folder)}; the upload was not kept.") from error

    def keep_lent(self, request: Mapping[str, Any]) -> None:
        """Uploads lent to live jobs that this request names too are kept; raises StorageError with one sentence."""
        try:
            for blob in blobs_in(request):
                self.blobs.keep(blob)
        except OSError as error:
            raise StorageError(f"{sentence(error, self.folder)}; the pictures to start from were not kept.") from error

    # -- pictures ---------------------------------------------------------------------------------------------------

    def save_picture(self, job: str, picture: int, seed: int, data: bytes, media_type: str = "image/png") -> str:
        """Writes the file and returns its name; raises OSError."""
        now = time.localtime()
        name = f"{time.strftime('%Y-%m-%d', now)}/{time.strftime('%H%M%S', now)}-{seed}-{job[:8]}-{picture}{media.ENDINGS[media_type]}"
        write_atomic(self.folder / name, data)
        return name

    def pictures(self, job: str | None = None, since: float = 0.0) -> Iterator[SavedPicture]:
        """The pictures on disk, of all jobs or of one, from the day of `since` (unix seconds) on, oldest first."""
        pattern = "*.*" if job is None else f"*-{job[:8]}-*.*"
        first = time.strftime("%Y-%m-%d", time.localtime(since))
        for day in self._days():
            for path in sorted(day.glob(pattern)) if day.name >= first else ():
                if found := self._read(path):
                    yield found

    def _days(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("????-??-??") if path.is_dir())

    def _read(self, path: Path) -> SavedPicture | None:
        named = _NAME.match(path.name)
        if named is None:
            return None
        try:
            size, created = media.size_of(path), path.stat().st_mtime
        except OSError:
            return None
        if size is None:
            return None
        width, height = size
        name = path.relative_to(self.folder).as_posix()
        return SavedPicture(picture_id(name), name, named["job"], int(named["picture"]), int(named["seed"]), width, height, created)

    # -- kept latents -----------------------------------------------------------------------------------------------

    def keep_latents(self, job: str, picture: int, latents: bytes) -> None:
        write_atomic(self._latents(job, picture), latents)

    def kept_latents(self, job: str) -> dict[int, bytes]:
        """The final latents that an earlier try developed but did not save as a picture."""
        found = {}
        for path in self.latents.glob(f"{job}-*.safetensors"):
            with suppress(OSError, ValueError):
                found[int(path.stem.rpartition("-")[2])] = path.read_bytes()
        return found

    def drop_latents(self, job: str, picture: int) -> None:
        with suppress(OSError):
            self._latents(job, picture).unlink(missing_ok=True)

    def sweep_latents(self, wanted: set[str]) -> None:
        """Removes the latents of every job that is not `wanted`."""
        for path in self.latents.glob("*.safetensors"):
            if path.stem.rpartition("-")[0] not in wanted:
                with suppress(OSError):
                    path.unlink()

    def _latents(self, job: str, picture: int) -> Path:
        return self.latents / f"{job}-{picture}.safetensors"
