"""Spans of text cut into the chunks of tokens that a CLIP text encoder takes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .clip_tokenizer import Marks
from .tree import Part, Span

Tokenize = Callable[[str], list[int]]
"""The ids of a text, without marks around them."""

BACKTRACK = 20
"""A1111's default: words behind a comma at most this many tokens back move on with the word that has no room."""


@dataclass(frozen=True)
class Chunk:
    """What the encoder sees at once: `length` positions, begin mark, tokens, end mark and padding.

    `embeddings` has (position in `ids`, name, number of vectors): there the vectors of a textual inversion take the place
    of those of the ids, which are 0. `origins` has, for each of the `used` tokens, (index of its span in the part, index
    of its token in the span), both counted from 0; all vectors of an embedding have its first token's. `section` is the
    section's index in the part, `section_weight` its weight.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    embeddings: tuple[tuple[int, str, int], ...] = ()
    origins: tuple[tuple[int, int], ...] = ()
    section: int = 0
    section_weight: float = 1.0

    @property
    def used(self) -> int:
        """How many tokens it has besides marks and padding."""
        return len(self.origins)


@dataclass(frozen=True)
class _Token:
    id: int
    weight: float
    origin: tuple[int, int]
    embedding: str | None = None
    vector: int = 0


def chunks(
    part: Part,
    tokenize: Tokenize,
    marks: Marks,
    embeddings: Mapping[str, int] | None = None,
    *,
    length: int = 77,
    backtrack: int = BACKTRACK,
    sentences: bool = False,
) -> tuple[Chunk, ...]:
    """The chunks of all sections of a part; at least one.

    A section begins a chunk, even where the one before is empty, as BREAK does in A1111. `embeddings` has the number of
    vectors of each textual inversion that may be named. A name is found by its tokens, as A1111 does: the longest first,
    whether it is written large or small, as words of its own. Of an embedding longer than a chunk the first vectors
    count. `sentences` cuts as compel does instead: behind the last full stop that fits, or phrase, or word.

    Where a chunk's end moves words on, A1111 leaves the vectors of an embedding among them behind; here they go along.
    """
    names = _names(embeddings or {}, tokenize)
    room = length - 2
    weights = part.section_weights or (1.0,) * len(part.sections)
    found: list[Chunk] = []
    first = 0
    for number, (section, weight) in enumerate(zip(part.sections, weights, strict=True)):
        tokens = list(_tokens(section, first, tokenize, names, room))
        pieces = _by_sentences(tokens, marks, room) if sentences else _by_commas(tokens, marks, room, backtrack)
        # Behind the last BREAK of A1111 there is no chunk if there are no words; each member of compel's .and() has one.
        if tokens or sentences or number < len(weights) - 1:
            found.extend(_framed(piece, marks, length, number, weight) for piece in pieces)
        first += len(section)
    return tuple(found) or (empty(marks, length),)


def empty(marks: Marks, length: int = 77) -> Chunk:
    """The chunk of the empty text."""
    return _framed([], marks, length, 0, 1.0)


def _names(embeddings: Mapping[str, int], tokenize: Tokenize) -> Mapping[int, list[tuple[list[int], str, int]]]:
    """By first id: (ids, name, number of vectors), most ids first."""
    names: dict[int, list[tuple[list[int], str, int]]] = {}
    for name, vectors in embeddings.items():
        ids = tokenize(name)
        if ids and vectors > 0:
            names.setdefault(ids[0], []).append((ids, name, vectors))
    for found in names.values():
        found.sort(key=lambda entry: len(entry[0]), reverse=True)
    return names


def _tokens(
    section: Sequence[Span], first: int, tokenize: Tokenize, names: Mapping[int, list[tuple[list[int], str, int]]], room: int
) -> Iterator[_Token]:
    for index, span in enumerate(section, first):
        ids, position = tokenize(span.text), 0
        while position < len(ids):
            entries = names.get(ids[position], ())
            entry = next((entry for entry in entries if ids[position : position + len(entry[0])] == entry[0]), None)
            if entry is None:
                yield _Token(ids[position], span.weight, (index, position))
                position += 1
                continue
            name_ids, name, vectors = entry
            for vector in range(min(vectors, room)):
                yield _Token(0, span.weight, (index, position), name, vector)
            position += len(name_ids)


def _by_commas(tokens: Sequence[_Token], marks: Marks, room: int, backtrack: int) -> list[list[_Token]]:
    """A1111's cut: where a chunk is full, and a comma is no more than `backtrack` tokens back, behind that comma."""
    pieces: list[list[_Token]] = [[]]
    comma = -1
    for index, token in enumerate(tokens):
        piece = pieces[-1]
        begins = token.vector == 0
        if begins and token.embedding is None and token.id == marks.comma:
            comma = len(piece)
        elif begins and backtrack and len(piece) == room and comma != -1 and len(piece) - comma <= backtrack:
            moved = piece[comma + 1 :]
            del piece[comma + 1 :]
            pieces.append(piece := moved)
            comma = -1
        if begins and len(piece) + _together(tokens, index) > room:
            pieces.append(piece := [])
            comma = -1
        piece.append(token)
    return pieces


def _together(tokens: Sequence[_Token], index: int) -> int:
    """How many tokens from `index` on must stay in one chunk: the vectors of one embedding."""
    end = index + 1
    if tokens[index].embedding is not None:
        while end < len(tokens) and tokens[end].vector > 0:
            end += 1
    return end - index


def _by_sentences(tokens: Sequence[_Token], marks: Marks, room: int) -> list[list[_Token]]:
    pieces: list[list[_Token]] = []
    start = 0
    while len(tokens) - start > room:
        window = tokens[start : start + room]
        behind = (_last(window, ends) for ends in (marks.sentence_ends, marks.phrase_ends, marks.word_ends))
        cut = next((index + 1 for index in behind if index is not None), room)
        while cut > 1 and tokens[start + cut].vector > 0:
            cut -= 1
        pieces.append(list(tokens[start : start + cut]))
        start += cut
    return [*pieces, list(tokens[start:])]


def _last(window: Sequence[_Token], ends: frozenset[int]) -> int | None:
    return next((index for index in reversed(range(len(window))) if window[index].embedding is None and window[index].id in ends), None)


def _framed(tokens: Sequence[_Token], marks: Marks, length: int, section: int, section_weight: float) -> Chunk:
    padding = length - 2 - len(tokens)
    ids = (marks.begin, *(token.id for token in tokens), marks.end, *(marks.pad,) * padding)
    weights = (1.0, *(token.weight for token in tokens), *(1.0,) * (padding + 1))
    starts = [position for position, token in enumerate(tokens) if token.embedding is not None and token.vector == 0]
    embeddings = tuple((position + 1, str(tokens[position].embedding), _together(tokens, position)) for position in starts)
    return Chunk(ids, weights, embeddings, tuple(token.origin for token in tokens), section, section_weight)
