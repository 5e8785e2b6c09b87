"""The catalog's entries of checkpoints that lie in several files or folders: one entry for each that can be put together."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import fitting
from .errors import CheckpointError
from .families import Parted, pieces
from .families.joined_text import TextFile

if TYPE_CHECKING:
    from .catalog import ModelInfo, Version

Read = Callable[[Path], Parted]


def put_together(infos: "Sequence[ModelInfo]", read: Read, texts: Sequence[TextFile], around: "Version") -> "list[ModelInfo]":
    """Entries for partial checkpoints: each goes by its first piece, what completes one is not listed, and what cannot be completed
    is broken. `around` is the version of the folders that the text encoders' files are from. Never raises."""
    found: list[ModelInfo] = []
    held: dict[Path, pieces.Piece] = {}
    for info in infos:
        try:
            held[info.path] = pieces.Piece(info.name, info.path, read(info.path))
        except CheckpointError as error:  # changed meanwhile
            found.append(replace(info, broken=str(error)))
    by_path = {info.path: info for info in infos}
    for path, piece in held.items():
        info = by_path[path]
        try:
            parted, paths = pieces.together(piece, (other for other in held.values() if other is not piece), texts)
        except CheckpointError as error:
            found.append(replace(info, broken=str(error)))
            continue
        if piece.leads:
            whole = [info, *(by_path[other] for other in paths)]
            version = (*(stat for each in whole for stat in each.version), *around)
            size = sum(each.size_bytes for each in whole)
            summary = " ".join(filter(None, (info.summary, parted.notice)))
            suits = {"idle": fitting.idle(parted), "traits": fitting.traits(parted)}
            found.append(replace(info, version=version, size_bytes=size, summary=summary, others=paths, **suits))
    return found


def whole(path: Path, others: Sequence[Path], read: Read, texts: Sequence[TextFile]) -> Parted:
    """A checkpoint taken apart that is completed with `others`. Raises `CheckpointError`."""
    first, *more = (pieces.Piece(each.name, each, read(each)) for each in (path, *others))
    return pieces.together(first, more, texts)[0]
