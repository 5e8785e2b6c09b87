"""Weights read once from front to back, so that mapping them later finds every page in memory.

For models that cannot be loaded yet. What can be is mapped at once: reading first would cost a second pass over it all.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from .families.parts import Part

_CHUNK = 2**23
_GAP = 2**20  # reading on over what lies between is cheaper than seeking
_ROOM = 1.25  # pages that drive out others which are in use would help nobody

Span = tuple[int, int]


def warm(parts: Iterable[Part], stopped: Callable[[], bool]) -> bool:
    """Reads the weights of `parts`; False if it was stopped, or there is no room for the pages, or a file cannot be read."""
    by_file: dict[Path, list[Span]] = {}
    for part in parts:
        for piece in set(part.pieces.values()):
            by_file.setdefault(piece.stamp.path, []).append(piece.span)
    if sum(end - start for spans in by_file.values() for start, end in spans) * _ROOM > psutil.virtual_memory().available:
        return False
    try:
        return all(_read(path, joined(spans), stopped) for path, spans in by_file.items())
    except OSError:
        return False  # told when the weights are asked for


def joined(spans: Iterable[Span]) -> list[Span]:
    """In order, with neighbours made one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + _GAP:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def _read(path: Path, spans: Iterable[Span], stopped: Callable[[], bool]) -> bool:
    buffer = memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        for start, end in spans:
            file.seek(start)
            while start < end:
                count = file.readinto(buffer[: min(_CHUNK, end - start)])
                if stopped() or not count:
                    return False
                start += count
    return True
