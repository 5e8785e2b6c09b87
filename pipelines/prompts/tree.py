"""What a prompt means, as values: which words hold until which step, with which weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from ..errors import UnknownName
from .traced import Piece

Syntax = Literal["a1111", "compel"]
Emphasis = Literal["original", "no_norm", "ignore", "none"]
"""A1111's modes. Original: weights multiply a chunk's embeddings, whose mean is then restored. No norm: they multiply only.
Ignore: the syntax is read and its weights are left out. None: brackets, weights and BREAK are words like any other."""

SYNTAXES: tuple[Syntax, ...] = get_args(Syntax)

WEIGHT_LIMIT = 1e6
"""Weights are held within ±1e6: far beyond what gives a picture, and still a finite number."""


@dataclass(frozen=True)
class Span:
    """Words of one weight. Two spans are equal when words and weights are, wherever they stand, so that a tuple of
    parts is an exact key for its embeddings. `start` and `end` are positions in the typed text (brackets not included)."""

    text: str
    weight: float
    start: int = field(compare=False)
    end: int = field(compare=False)
    runs: tuple[tuple[int, int], ...] = field(default=(), compare=False, repr=False)
    """(offset in `text`, position in the typed text) wherever the two stop running in step."""

    @classmethod
    def of(cls, pieces: Sequence[Piece], weight: float) -> "Span":
        """The span of pieces of the typed text."""
        runs: list[tuple[int, int]] = []
        offset, follows = 0, None
        for text, source in pieces:
            if source != follows:
                runs.append((offset, source))
            offset, follows = offset + len(text), source + len(text)
        start, end = (pieces[0][1], pieces[-1][1] + len(pieces[-1][0])) if pieces else (0, 0)
        return cls("".join(text for text, _ in pieces), weight, start, end, tuple(runs))

    def stretches(self) -> list[tuple[int, int]]:
        """(start, end) in the typed text of what stands together there."""
        bases = [base for base, _ in self.runs[1:]] + [len(self.text)]
        return [(source, source + end - base) for (base, source), end in zip(self.runs, bases, strict=True)]

    def source(self, offset: int) -> int:
        """The position in the typed text of the character at `offset` of `text`; `end` past the last."""
        if offset >= len(self.text):
            return self.end
        low, high = 0, len(self.runs)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.runs[middle][0] <= offset else (low, middle)
        base, position = self.runs[low] if self.runs else (0, self.start)
        return position + offset - base


@dataclass(frozen=True)
class Part:
    """One text to predict with. Parts of kind "and" are predicted apart and summed with their weights
    (Composable Diffusion, arXiv:2206.01714); those of kind "blend" give one conditioning, the sum of weight × embedding.

    `sections` are encoded apart and laid end to end. `section_weights`, if not empty, has one factor per section: how
    far its embeddings lie from those of the empty text (compel's `.and()` with weights).
    """

    weight: float
    sections: tuple[tuple[Span, ...], ...]
    kind: Literal["and", "blend"] = "and"
    section_weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class Timed:
    """`parts` hold up to step `until`, counted from 1 and included, from where the entry before ends."""

    until: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class ExtraNetwork:
    """A network that the text asks for: `weight` for the denoiser, `text_weight` for the text encoders.
    `notice` is a sentence if what was typed could not be read as it stands."""

    kind: str
    name: str
    weight: float
    text_weight: float
    start: int
    end: int
    notice: str | None = None


@dataclass(frozen=True)
class Notice:
    """Something the author of a prompt should know, as a sentence; the positions are in the typed text."""

    sentence: str
    start: int
    end: int


def check_syntax(syntax: str) -> None:
    if syntax not in SYNTAXES:
        raise UnknownName("prompt syntax", syntax, SYNTAXES, "prompt_syntax")


def limited(weight: float) -> float:
    """A weight within ±`WEIGHT_LIMIT`; 1 for what is no number."""
    return 1.0 if weight != weight else max(-WEIGHT_LIMIT, min(WEIGHT_LIMIT, weight))
