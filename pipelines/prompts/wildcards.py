"""Files of words to choose from: `colours.txt` is what `__colours__` stands for, one choice a line."""

import os
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from ..errors import InvalidRequest, StorageError, printable

_LARGEST = 4 * 2**20
_MOST = 20_000


class Wildcards:
    """The wildcards below some folders; the first that has a name is asked. Folders are listed once per object: make one
    where a prompt is to be expanded."""

    def __init__(self, roots: Sequence[Path] = ()) -> None:
        self._files: dict[str, Path] = {}
        self._read: dict[str, tuple[str, ...]] = {}
        for root in roots:
            for path in _texts(root):
                if len(self._files) < _MOST:
                    self._files.setdefault(path.relative_to(root).with_suffix("").as_posix(), path)

    def names(self) -> list[str]:
        """Every name, sub-folders with a slash, sorted."""
        return sorted(self._files)

    def values(self, name: str) -> tuple[str, ...]:
        """The choices of a name, or of all names that a pattern fits (`*` within a folder, `**` across, `?` one character).

        Raises `InvalidRequest` with names like it if there is none, or nothing to choose from.
        """
        wanted = name.strip().replace("\\", "/").strip("/")
        names = [wanted] if wanted in self._files else []
        if not names and set("*?") & set(wanted):
            pattern = _pattern(wanted)
            names = [known for known in self.names() if pattern.fullmatch(known)]
        if not names:
            raise InvalidRequest(f"There is no wildcard named {_shown(name)}; {self._like(wanted)}.", "prompt")
        found = tuple(value for each in names for value in self._lines(each))
        if not found:
            raise InvalidRequest(f"The wildcard {_shown(name)} must have a line to choose; it has none.", "prompt")
        return found

    def _like(self, wanted: str) -> str:
        by_lower = {name.lower(): name for name in self.names()}
        near = [by_lower[lower] for lower in get_close_matches(wanted.lower()[:200], by_lower, 5, 0.6)]
        if near:
            return f"like it are: {', '.join(map(printable, near))}"
        return f"there are {len(by_lower)}, such as: {', '.join(map(printable, self.names()[:5]))}" if by_lower else "there are none"

    def _lines(self, name: str) -> tuple[str, ...]:
        if name not in self._read:
            path = self._files[name]
            try:
                with path.open("rb") as file:
                    data = file.read(_LARGEST + 1)
            except OSError as error:
                raise StorageError(f"The wildcard {_shown(name)} cannot be read: {error.strerror}.") from None
            if len(data) > _LARGEST:
                raise InvalidRequest(f"A wildcard file must be at most {_LARGEST // 2**20} MB; {_shown(name)} is larger.", "prompt")
            lines = (line.strip() for line in data.decode("utf-8-sig", "replace").splitlines())
            self._read[name] = tuple(line for line in lines if line and not line.startswith("#"))
        return self._read[name]


def _texts(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names) if name.lower().endswith(".txt"))


def _pattern(glob: str) -> re.Pattern[str]:
    signs = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    # Stars in a row are one: each more would multiply the time that a name takes which does not fit.
    parts = re.findall(r"\*+|\?|[^*?]+", glob)
    return re.compile("".join(signs.get(part[:2]) or re.escape(part) for part in parts))


def _shown(name: str) -> str:
    return repr(f"__{name[:80]}__")
