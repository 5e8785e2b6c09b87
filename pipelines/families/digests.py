"""Whether two parts have the same weights: a quick fingerprint from samples, and SHA-256 of every byte."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .parts import Part, Piece

_CHUNK = 2**22


def fingerprint(part: Part) -> str:
    """The same for two parts with the same weights, whatever files they lie in; from three samples of each weight, in milliseconds."""
    digest = hashlib.sha256(part.architecture.encode())
    for name, piece, start, end, file in _pieces(part):
        digest.update(f"{name} {piece.info.dtype} {end - start}".encode())
        for place in (start, (start + end) // 2, max(start, end - 64)):
            file.seek(place)
            digest.update(file.read(min(64, end - place)))
    return digest.hexdigest()


def sha256(part: Part) -> str:
    """SHA-256 of all its weights' bytes in the order of their diffusers names."""
    digest = hashlib.sha256()
    for _, _, start, end, file in _pieces(part):
        file.seek(start)
        for place in range(start, end, _CHUNK):
            digest.update(file.read(min(_CHUNK, end - place)))
    return digest.hexdigest()


def files_sha256(paths: Iterable[Path]) -> str:
    """SHA-256 of whole files, one after another: for one file what `sha256sum` says."""
    digest = hashlib.sha256()
    try:
        for path in paths:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    return digest.hexdigest()


def _pieces(part: Part) -> Iterator[tuple[str, Piece, int, int, Any]]:
    """(name, piece, start, end, open file), each file opened once."""
    opened: dict[Path, Any] = {}
    try:
        for name, piece in sorted(part.pieces.items()):
            path = piece.stamp.path
            file = opened.get(path) or opened.setdefault(path, path.open("rb"))
            yield name, piece, *piece.span, file
    except OSError as error:
        raise CheckpointError(f"The weights of {part.component} cannot be read: {error.strerror or error}.") from None
    finally:
        for file in opened.values():
            file.close()
