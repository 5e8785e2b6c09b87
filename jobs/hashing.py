"""Hashes of model files, computed in the background once: politely, only while no picture develops, the smallest files first."""

import hashlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from .ledger import Hashes, Ledger

_CHUNK = 2**22
_LOOK = 0.25  # seconds between two looks whether the engine is still busy


class ModelHasher:
    """Thread-safe; its thread lives while there is something to hash. `busy` says whether the machine is wanted elsewhere."""

    def __init__(self, ledger: Ledger, busy: Callable[[], bool]) -> None:
        self._ledger = ledger
        self._busy = busy
        self._lock = threading.Lock()
        self._waiting: dict[Path, int] = {}  # to sizes
        self._first: Path | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def known(self, path: Path) -> Hashes | None:
        """What the file as it is now hashes to, if that is known."""
        try:
            found = path.stat()
        except OSError:
            return None
        return self._ledger.hashes(path, found.st_size, found.st_mtime_ns)

    def want(self, paths: Iterable[Path], first: bool = False) -> int:
        """Puts files in line, before all others if `first`; how many wait in all."""
        for path in paths:
            try:
                found = path.stat()
            except OSError:
                continue
            if self._ledger.hashes(path, found.st_size, found.st_mtime_ns):
                continue
            with self._lock:
                self._waiting[path] = found.st_size
                self._first = path if first else self._first
        with self._lock:
            if self._waiting and self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="model hashes", daemon=True)
                self._thread.start()
            return len(self._waiting)

    def stop(self) -> None:
        self._closing.set()
        thread = self._thread
        if thread is not None:
            thread.join(5)

    def _run(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                path = self._first if self._first in self._waiting else min(self._waiting, key=lambda each: self._waiting[each])
            self._hash(path)
            with self._lock:
                self._waiting.pop(path, None)

    def _hash(self, path: Path) -> None:
        try:
            with open(path, "rb") as file:
                before = path.stat()
                whole, weights, header = hashlib.sha256(), hashlib.sha256(), _header_bytes(path)
                place = 0
                while chunk := file.read(_CHUNK):
                    while self._busy() and not self._closing.wait(_LOOK):
                        pass
                    if self._closing.is_set():
                        return
                    whole.update(chunk)
                    weights.update(chunk[max(0, header - place) :])
                    place += len(chunk)
                after = path.stat()
        except OSError:
            return
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            self._ledger.keep_hashes(path, after.st_size, after.st_mtime_ns, Hashes(whole.hexdigest(), weights.hexdigest()))


def _header_bytes(path: Path) -> int:
    """Where a safetensors file's weights begin; 0 in other files."""
    if path.suffix.lower() != ".safetensors":
        return 0
    with open(path, "rb") as file:
        return 8 + int.from_bytes(file.read(8), "little")
