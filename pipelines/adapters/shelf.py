"""LoRAs and textual inversions on disk: our own folders, A1111's and ComfyUI's, used in place, found by the names that prompts use."""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from .. import headers
from ..errors import CheckpointError, InvalidRequest, UnknownName, printable
from ..shelves import PICKLES, SUFFIXES

LORAS = ("loras", "Lora", "LyCORIS", "lycoris")
EMBEDDINGS = ("embeddings",)
_NEAR = 8  # so many names are offered for one that is unknown
_MOST_ENTRIES = 20_000  # in one folder: a root may be given by mistake, such as a home folder
_DEPTH = 6


def loras(roots: Iterable[Path]) -> dict[str, Path]:
    """All LoRA files by name, the path on their shelf such as "style/ink.safetensors", made unique among all roots."""
    return named(roots, LORAS)


def embeddings(roots: Iterable[Path]) -> dict[str, Path]:
    """All files of textual inversions, named as `loras` are."""
    return named(roots, EMBEDDINGS)


def named(roots: Iterable[Path], folders: Sequence[str]) -> dict[str, Path]:
    """Files of weights in these folders of the roots, by names made unique among all of them."""
    listed: dict[str, Path] = {}
    seen: set[tuple[int, int]] = set()
    for root in map(Path, roots):
        places = [base / folder for base in (root, root / "models") for folder in folders]
        for name, path, identity in (found for shelf in places for found in _files(shelf)):
            if identity in seen:  # linked from two places, or one folder by two names where capitals do not count
                continue
            seen.add(identity)
            longer = f"{printable(root.name)}/{name}"
            names = [name, longer, *(f"{longer} ({number})" for number in range(2, 1000))]
            listed[next(candidate for candidate in names if candidate not in listed)] = path
    return listed


def _files(shelf: Path) -> Iterator[tuple[str, Path, tuple[int, int]]]:
    """(name, path, identity) of each file of weights below a folder; links are followed, though not for ever."""
    left = _MOST_ENTRIES
    for folder, inner, names in os.walk(shelf, followlinks=True):
        below = Path(folder).relative_to(shelf)
        left -= len(inner) + len(names)
        inner[:] = sorted(name for name in inner if not name.startswith(".")) if len(below.parts) < _DEPTH and left > 0 else []
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith(".") and path.is_file():
                found = path.stat()
                yield printable((below / name).as_posix()), path, (found.st_dev, found.st_ino)


def find_lora(roots: Iterable[Path], name: str) -> Path:
    """The file that `<lora:name:1>` means: its name in `loras`, with or without suffix or folders, or what its trainer
    called it (`ss_output_name`); capitals count only where they have to.

    Raises `UnknownName` with the nearest names, and `InvalidRequest` where several files are meant.
    """
    known = loras(roots)
    for key in (_same, _spelled_alike):
        for written in (_whole, _without_suffix, _stem):
            found = [listed for listed in known if key(written(listed)) == key(name)]
            if found:
                return _only(name, found, known)
    found = [listed for listed, path in known.items() if _output_name(path) == name]
    if found:
        return _only(name, found, known)
    near = difflib.get_close_matches(name.casefold(), {_stem(listed).casefold(): listed for listed in known}, _NEAR, cutoff=0.0)
    names = [_stem(listed) for listed in known if _stem(listed).casefold() in near]
    more = len(known) - len(names)
    raise UnknownName("lora", printable(name), [*names, *([f"… and {more:,} more"] if more else [])], "modifiers")


def _only(name: str, found: Sequence[str], known: Mapping[str, Path]) -> Path:
    safe = [listed for listed in found if known[listed].suffix.lower() not in PICKLES] or list(found)
    if len(safe) > 1:
        listed = " and ".join(safe[:3]) + (f" and {len(safe) - 3} more" if len(safe) > 3 else "")
        raise InvalidRequest(f"There are {len(safe)} files for lora {printable(name)[:80]!r}: {listed}; name its folder too.", "modifiers")
    return known[safe[0]]


def _same(text: str) -> str:
    return text


def _spelled_alike(text: str) -> str:
    return text.casefold()


def _whole(name: str) -> str:
    return name


def _without_suffix(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _output_name(path: Path) -> str:
    try:
        return headers.read(path).metadata.get("ss_output_name", "")
    except CheckpointError:
        return ""
