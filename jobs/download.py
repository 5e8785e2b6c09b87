"""One download of a model: what it fetches, how far it is, and how what has come gets to its shelf."""

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipelines import headers, library
from pipelines.errors import CheckpointError, InvalidRequest

from .fetching import Fetch, FetchError, NetworkError, Remote, Stopped, Web

PARTS = ".downloads"  # below a root of models: hidden, so that nothing unfinished is listed
ENDED = ("finished", "failed", "cancelled")
_SHOWN = ("id", "source", "kind", "name", "state", "error", "created", "sha256", "placed")
_SETTLED = 0.5  # seconds between two measurements of speed


@dataclass(frozen=True)
class Download:
    """`name` is the file or folder that it becomes, below a shelf of the models folder `root`. `state` is queued, running,
    finished, failed or cancelled; `validator` belongs to the file under way; `placed` is the path below `root` in the end."""

    id: str
    source: str
    kind: str
    name: str
    root: str
    files: tuple[Remote, ...]
    is_folder: bool = False
    state: str = "queued"
    error: str | None = None
    created: float = 0.0
    validator: str | None = None
    sha256: str | None = None
    placed: str | None = None

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Download":
        """From what the ledger keeps; raises TypeError or KeyError for that of another version."""
        return cls(**{**record, "files": tuple(Remote(**each) for each in record["files"])})

    @property
    def size(self) -> int | None:
        """Bytes of all files, or None where the other side does not tell."""
        sizes = [remote.size for remote in self.files]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def folder(self) -> Path:
        """Where it is put together; a file that is whole has lost its `.part`."""
        return Path(self.root) / PARTS / self.id

    def whole(self, remote: Remote) -> Path:
        return self.folder / self.name / remote.path if self.is_folder else self.folder / self.name

    def part(self, remote: Remote) -> Path:
        whole = self.whole(remote)
        return whole.with_name(f"{whole.name}.part")

    def on_disk(self) -> int:
        """Bytes that have come so far."""
        done = 0
        for remote in self.files:
            for path in (self.whole(remote), self.part(remote)):
                with suppress(OSError):
                    done += path.stat().st_size
        return done

    def drop(self) -> None:
        """Removes what has come."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self.folder.parent.rmdir()


@dataclass
class Progress:
    """How far a download under way is: bytes, bytes per second, and why nothing comes at the moment."""

    done: int = 0
    total: int | None = None
    rate: float = 0.0
    waiting: str | None = None
    _since: tuple[float, int] = field(default_factory=lambda: (time.monotonic(), -1))

    def reach(self, done: int) -> None:
        now, (then, before) = time.monotonic(), self._since
        self.done, self.waiting = done, None
        if before < 0 or done < before:
            self._since = (now, done)
        elif now - then >= _SETTLED:
            fresh = (done - before) / (now - then)
            self.rate = fresh if not self.rate else 0.7 * self.rate + 0.3 * fresh
            self._since = (now, done)


def as_json(download: Download, progress: Progress | None) -> dict[str, Any]:
    running = download.state == "running" and progress is not None
    total = progress.total if progress and progress.total is not None else download.size
    done = total if download.state == "finished" else progress.done if progress else download.on_disk()
    rate = progress.rate if running else 0.0
    return {
        **{key: value for key, value in asdict(download).items() if key in _SHOWN},
        "files": len(download.files),
        "bytes_done": done or 0,
        "bytes_total": total,
        "bytes_per_second": round(rate) if running else None,
        "eta": round((total - done) / rate, 1) if total and done is not None and rate > 1 else None,
        "notice": progress.waiting if running else None,
    }


class Transfer:
    """Fetches the files of one download, waiting out breaks of the network. `noted` is told a validator worth keeping."""

    def __init__(
        self,
        download: Download,
        web: Web,
        stopped: threading.Event,
        progress: Progress,
        waits: Sequence[float],
        noted: Callable[[str | None], None],
    ) -> None:
        self._download = download
        self._web = web
        self._stopped = stopped
        self._progress = progress
        self._waits = waits
        self._noted = noted
        self._validator = download.validator
        self._before = 0  # bytes of the files that are whole

    def run(self) -> str | None:
        """The SHA-256 where it is one file. Raises StudioError, Stopped, OSError."""
        download, digest = self._download, None
        for remote in download.files:
            whole = download.whole(remote)
            if not whole.exists():
                digest = self._fetch(remote)
                os.replace(download.part(remote), whole)
                self._note(None)
            if whole.suffix == ".safetensors":
                headers.read(whole)  # CheckpointError for what only calls itself so
        return None if download.is_folder else digest

    def _fetch(self, remote: Remote) -> str:
        """One file, tried again until nothing has come for as many tries as there are waits."""
        part, waits = self._download.part(remote), list(self._waits)
        self._before = self._download.on_disk() - _size(part)
        while True:
            had = _size(part)
            try:
                return Fetch(self._web, remote, part, self._stopped, self._reach, self._validator).run()
            except NetworkError as error:
                if _size(part) > had:
                    waits = list(self._waits)
                if not waits:
                    raise FetchError(str(error)) from None
                self._progress.waiting = f"{error} Trying again."
                if self._stopped.wait(waits.pop(0)):
                    raise Stopped from None

    def _reach(self, fetch: Fetch, done: int) -> None:
        if fetch.size is not None and len(self._download.files) == 1:
            self._progress.total = fetch.size
        self._progress.reach(self._before + done)
        self._note(fetch.validator)

    def _note(self, validator: str | None) -> None:
        if validator != self._validator:
            self._validator = validator
            self._noted(validator)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def place(download: Download) -> tuple[str, str]:
    """Moves what has come to its shelf; its kind and its path below the root. Raises InvalidRequest, CheckpointError, OSError."""
    come = download.folder / download.name
    kind = download.kind if download.kind != library.AUTOMATIC else library.kind_of(come)
    if kind is None:
        raise CheckpointError(f"{download.name} is of no kind that is known here; choose one when you download it.")
    target = free_place(download, kind)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(come, target)
    except OSError as error:
        if error.errno != errno.EXDEV:  # a shelf that is a link to another disk
            raise
        half = target.with_name(f".{target.name}.part")
        shutil.move(come, half)
        os.rename(half, target)
    download.drop()
    return kind, target.relative_to(download.root).as_posix()


def free_place(download: Download, kind: str) -> Path:
    """Where it goes as a model of this kind; raises InvalidRequest when something of that name is there."""
    target = library.shelf(Path(download.root), kind) / download.name
    if os.path.lexists(target):
        raise InvalidRequest(f"name {download.name} is taken in {target.parent}; give the download another.", "name")
    return target
