"""Text whose characters know where in the typed prompt they stood."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

Piece = tuple[str, int]
"""Characters that stand together in the typed text, and where the first one does."""


class Traced:
    """A text put together from pieces of the typed one."""

    __slots__ = ("_offsets", "_sources", "text")

    def __init__(self, pieces: Iterable[Piece]) -> None:
        kept: list[str] = []
        self._offsets: list[int] = []
        self._sources: list[int] = []
        offset, follows = 0, -1
        for text, source in pieces:
            if text and source != follows:  # pieces that go on where the one before ends are one
                self._offsets.append(offset)
                self._sources.append(source)
            if text:
                kept.append(text)
                offset, follows = offset + len(text), source + len(text)
        self.text = "".join(kept)

    def source(self, index: int) -> int:
        """Where the character at `index` stands in the typed text."""
        run = bisect_right(self._offsets, index) - 1
        return self._sources[run] + index - self._offsets[run] if run >= 0 else 0

    def pieces(self, start: int, end: int) -> Iterator[Piece]:
        """The pieces that make up `text[start:end]`."""
        run = max(bisect_right(self._offsets, start) - 1, 0)
        while start < end:
            stop = min(end, self._offsets[run + 1] if run + 1 < len(self._offsets) else len(self.text))
            yield self.text[start:stop], self._sources[run] + start - self._offsets[run]
            start, run = stop, run + 1

    def slice(self, start: int, end: int) -> "Traced":
        return Traced(self.pieces(start, end))

    def replaced(self, matches: Iterable[re.Match[str]], replacement: str = "") -> "Traced":
        """The text with each match replaced; `replacement` is said to stand where its match ends."""
        pieces: list[Piece] = []
        position = 0
        for match in matches:
            pieces.extend(self.pieces(position, match.start()))
            pieces.append((replacement, self.source(match.end() - 1) if replacement else 0))
            position = match.end()
        pieces.extend(self.pieces(position, len(self.text)))
        return Traced(pieces)


def typed(text: str) -> Traced:
    return Traced([(text, 0)])
