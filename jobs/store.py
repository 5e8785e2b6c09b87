"""Files that outlive a crash: pictures, uploads and kept latents, each written whole or not at all."""

import hashlib
import re
import shutil
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import StorageError

from .files import sentence, write_atomic
from .views import NotHere

LEAST_FREE = 200_000_000  # bytes
_NAME = re.compile(r"^\d{6}-(?P<seed>\d+)-(?P<job>[0-9a-f]{8})-(?P<picture>\d+)\.png$")
_BLOB = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class SavedPicture:
    """A picture file as its name and header tell: `name` is relative to the outputs folder, with forward slashes."""

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


class BlobStore:
    """Uploads in `folder`, each under the SHA-256 of its bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Keeps the bytes (once, however often they come) and returns their id; raises OSError."""
        blob = hashlib.sha256(data).hexdigest()
        path = self.folder / blob[:2] / blob
        if not path.is_file():
            write_atomic(path, data)
        return blob

    def path(self, blob: str) -> Path:
        """Raises NotHere."""
        path = self.folder / blob[:2] / blob
        if not _BLOB.fullmatch(blob) or not path.is_file():
            raise NotHere("upload", blob)
        return path

    def read(self, blob: str) -> bytes:
        """Raises NotHere."""
        return self.path(blob).read_bytes()


class Store:
    """The outputs folder: `<day>/<time>-<seed>-<job>-<picture>.png`, and `.safelight/` for what is ours."""

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

    # -- pictures ---------------------------------------------------------------------------------------------------

    def save_picture(self, job: str, picture: int, seed: int, png: bytes) -> str:
        """Writes the PNG and returns its name; raises OSError."""
        now = time.localtime()
        name = f"{time.strftime('%Y-%m-%d', now)}/{time.strftime('%H%M%S', now)}-{seed}-{job[:8]}-{picture}.png"
        write_atomic(self.folder / name, png)
        return name

    def pictures(self, job: str | None = None, since: float = 0.0) -> Iterator[SavedPicture]:
        """The pictures on disk, of all jobs or of one, from the day of `since` (unix seconds) on, oldest first."""
        pattern = "*.png" if job is None else f"*-{job[:8]}-*.png"
        first = time.strftime("%Y-%m-%d", time.localtime(since))
        for day in self._days():
            for path in sorted(day.glob(pattern)) if day.name >= first else ():
                if found := self._read(path):
                    yield found

    def _days(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("????-??-??") if path.is_dir())

    def _read(self, path: Path) -> SavedPicture | None:
        named = _NAME.match(path.name)
        try:
            with open(path, "rb") as file:
                head = file.read(24)
            created = path.stat().st_mtime
        except OSError:
            return None
        if named is None or len(head) < 24 or not head.startswith(b"\x89PNG\r\n\x1a\n"):
            return None
        width, height = struct.unpack(">II", head[16:24])
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
