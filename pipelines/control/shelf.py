"""The models for control on offer by name: the user's folders and files, ours, A1111's and ComfyUI's, used in place."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from .. import shelves
from ..errors import CheckpointError, InvalidRequest, UnknownName, printable
from .networks import NetworkInfo, Task, missing, require_task
from .networks import inspect as inspect_network
from .reading import ControlInfo, inspect

FOLDERS = ("controlnet", "ControlNet")
NETWORKS = ("preprocessors",)

_Stamps = tuple[tuple[str, int, int], ...]


class Listed(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def broken(self) -> str | None: ...


Info = TypeVar("Info", bound=Listed)


class Shelf(Generic[Info]):
    """Models of one kind below `roots`; every call looks at the disk again, and reads only what is new. Safe to use from several
    threads."""

    folders: tuple[str, ...]
    kind: str

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(Path(root) for root in roots)
        self._known: dict[tuple[str, Path], tuple[_Stamps, Info]] = {}
        self._lock = threading.Lock()

    def inspect(self, path: Path, name: str) -> Info:
        """What a file or a folder is; never raises."""
        raise NotImplementedError

    def all(self) -> list[Info]:
        """By name, broken ones too, but for pickles that have been converted; never raises. Of two alike the later root's takes on
        the root's name."""
        infos = [self._inspected(name, path) for name, path in self._named().items()]
        usable = {info.path for info in infos if info.broken is None}
        listed = (info for info in infos if info.broken is None or info.path.with_suffix(".safetensors") not in usable)
        return sorted(listed, key=lambda info: (info.name.casefold(), info.name))

    def find(self, name: str) -> Info:
        """Raises `UnknownName`, or `CheckpointError` when it is broken."""
        named = self._named()
        if name not in named:
            raise UnknownName(self.kind, name, named, "modifiers")
        info = self._inspected(name, named[name])
        if info.broken:
            raise CheckpointError(info.broken)
        return info

    def _named(self) -> dict[str, Path]:
        named: dict[str, Path] = {}
        seen: set[Path] = set()
        for root in self.roots:
            for folder in shelves._shelves(root, self.folders):
                for name, path in shelves._walk(folder, lambda folder: (folder / "config.json").is_file()):
                    real = path.resolve()
                    if real not in seen:
                        seen.add(real)
                        longer = f"{printable(root.name)}/{name}"
                        names = (name, longer, *(f"{longer} ({number})" for number in range(2, 1000)))
                        named[next(free for free in names if free not in named)] = path
        return named

    def _inspected(self, name: str, path: Path) -> Info:
        stamps = _stamps(path)
        with self._lock:
            known = self._known.get((name, path))
        if known is None or known[0] != stamps:
            known = (stamps, self.inspect(path, name))
            with self._lock:
                self._known[name, path] = known
        return known[1]


class ControlShelf(Shelf[ControlInfo]):
    """ControlNets."""

    folders = FOLDERS
    kind = "ControlNet"

    def inspect(self, path: Path, name: str) -> ControlInfo:
        return inspect(path, name)


class NetworkShelf(Shelf[NetworkInfo]):
    """Networks of preprocessors."""

    folders = NETWORKS
    kind = "network of preprocessors"

    def inspect(self, path: Path, name: str) -> NetworkInfo:
        return inspect_network(path, name)

    def usable(self, task: Task) -> list[NetworkInfo]:
        """Those that can do `task`, by name."""
        return [info for info in self.all() if info.broken is None and info.task == task]

    def chosen(self, task: Task, name: str = "") -> NetworkInfo:
        """The one of this name, else the first that can do `task`. Raises `UnknownName`, `CheckpointError`, `InvalidRequest`."""
        if name:
            return require_task(self.find(name), task)
        usable = self.usable(task)
        if not usable:
            broken = next((f" {info.broken}" for info in self.all() if info.broken), "")
            raise InvalidRequest(f"{missing(task)}{broken}", "modifiers")
        return usable[0]


def _stamps(path: Path) -> _Stamps:
    """What changes with any of its files."""
    found = []
    for each in sorted(path.iterdir()) if path.is_dir() else [path]:
        try:
            stat = each.stat()
        except OSError:
            continue  # vanished, or not ours to read: told when it is opened
        found.append((each.name, stat.st_size, stat.st_mtime_ns))
    return tuple(found)
