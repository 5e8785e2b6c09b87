"""Checkpoints that come in several files or folders, such as a prior and its decoder: put together to one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import CheckpointError
from .family import Parted
from .joined_text import TextFile
from .parts import Part


@dataclass(frozen=True)
class Piece:
    """A file or folder that holds some of a checkpoint's components."""

    name: str
    path: Path
    parted: Parted

    @property
    def leads(self) -> bool:
        """Whether the checkpoint goes by its name."""
        return self.parted.family.leading in self.parted.parts


def is_partial(parted: Parted) -> bool:
    """Whether components are missing that may lie elsewhere."""
    return bool(_missing(parted))


def together(first: Piece, others: Iterable[Piece], texts: Sequence[TextFile]) -> tuple[Parted, tuple[Path, ...]]:
    """The checkpoint that `first` makes with what others and files of text encoders hold, and the paths of those others.

    Of several that have what is missing, the nearest is taken; of those the one with the most weights; of those the first by name.
    Raises `CheckpointError`, which says what is missing.
    """
    parted = first.parted
    family, names, paths = parted.family, [], []
    for other in sorted(others, key=lambda other: (-_near(first.path, other.path), -_elements(other.parted), other.name)):
        new = {name: other.parted.parts[name] for name in _missing(parted) if name in other.parted.parts}
        if new and other.parted.family is family:
            parted = _with(parted, new, other.parted.tokenizers)
            names.append(other.name)
            paths.append(other.path)
    for file in texts:
        part = family.text_part(file, parted.parts)
        if part is not None and part.component in _missing(parted):
            parted = _with(parted, {part.component: part}, {part.component: None})
            names.append(file.name)
    if missing := _missing(parted):
        held = _listed([words for name, words in family.pieces.items() if name in first.parted.parts])
        lacking = _listed([family.pieces[name] for name in missing])
        raise CheckpointError(f"{first.path.name} holds {held} of {family.title} and lacks {lacking}; put what is missing beside it.")
    return replace(parted, notice=" ".join(filter(None, (parted.notice, f"Completed with {_listed(names)}.")))), tuple(paths)


def _missing(parted: Parted) -> list[str]:
    return [name for name in parted.family.pieces if name not in parted.parts]


def _with(parted: Parted, parts: Mapping[str, Part], tokenizers: Mapping[str, Path | None]) -> Parted:
    more = {name: folder for name, folder in tokenizers.items() if name in parts}
    return replace(parted, parts={**parted.parts, **parts}, tokenizers={**parted.tokenizers, **more})


def _near(path: Path, other: Path) -> int:
    """How many folders both lie in."""
    return sum(one == two for one, two in zip(path.parent.parts, other.parent.parts, strict=False))


def _elements(parted: Parted) -> int:
    return sum(part.elements for part in parted.parts.values())


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
