"""What a listing tells of any file or folder: its version, its name and size, why it cannot be used; and what was read from it, kept."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from . import shelves
from .errors import CheckpointError, printable
from .families import Parted
from .families.parts import Part

HOW = "(python -m pipelines.convert FILE does it safely)"

Version = tuple[tuple[str, int, int], ...]
"""Name, size and time of change of every file that a model is read from."""

Read = TypeVar("Read")


class Seen:
    """What was read from files and folders, kept until one of them changes. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Path], tuple[Version, Any]] = {}
        self._lock = threading.Lock()

    def of(self, what: str, path: Path, read: Callable[[Path], Read]) -> Read:
        """What `read` makes of the path, under the name `what`; what it raises is not kept."""
        now = version_of(path)
        with self._lock:
            version, found = self._kept.get((what, path), ((), None))
        return found if version == now != () else self.keep(what, path, now, read(path))

    def keep(self, what: str, path: Path, version: Version, found: Read) -> Read:
        """`found` is what the path holds at that version."""
        with self._lock:
            self._kept[what, path] = version, found
        return found


Taken = TypeVar("Taken", Parted, Part)


def attempt(path: Path, take_apart: Callable[[], Taken]) -> tuple[Taken | None, str | None]:
    """What was read, or the sentence that says why it was not. A listing never fails because of one file."""
    if path.suffix.lower() in shelves.PICKLES and not path.is_dir():
        why = "is a pickle, which can run code when opened; convert it to .safetensors"
        return None, f"{printable(path.name)} {why} {HOW}."
    try:
        return take_apart(), None
    except CheckpointError as error:
        return None, str(error)
    except OSError as error:
        return None, f"{printable(path.name)} cannot be read: {error.strerror or error}."


def facts(name: str, path: Path, version: Version, broken: str | None, title: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "title": title or name.removesuffix(path.suffix if path.suffix.lower() in shelves.SUFFIXES else ""),
        "path": path,
        "kind": "folder" if path.is_dir() else "file",
        "version": version,
        "size_bytes": sum(size for file, size, _ in version if file.endswith(shelves.SUFFIXES)),
        "broken": broken,
    }


def version_of(path: Path) -> Version:
    """Stats of the file, or of everything two levels into a folder. A file that vanishes meanwhile is left out."""
    files = [path] if not path.is_dir() else sorted((*path.glob("*"), *path.glob("*/*")))
    found = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            continue
        found.append((file.name if file == path else file.relative_to(path).as_posix(), stat.st_size, stat.st_mtime_ns))
    return tuple(found)
