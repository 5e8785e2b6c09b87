"""compel's prompt syntax: `word++`, `(words)1.3`, `("a", "b").blend(0.7, 0.3)`, `("a", "b").and()`."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from .compel_words import BLANKS, OPTIONS, Found, Node, Swapped, Weighted, Words, options
from .traced import Piece, Traced
from .tree import ExtraNetwork, Notice, Part, Span, limited

_COMBINED = re.compile(rf"\s*\)\s*\.(blend|and|add)\s*\(({OPTIONS})?\s*\)")
_NEXT = re.compile(r"\s*,\s*")
_A1111 = re.compile(r"\([^()]*:\s*[.\d]+\s*\)|\b(?:BREAK|AND)\b")
_CANNOT = "“.{}” needs as many weights as it has prompts, or none, and a blend nothing behind it; it is read as words."


class Reading(NamedTuple):
    """What a compel prompt says; `networks` are those of `withLora(name, weight)`."""

    parts: tuple[Part, ...]
    networks: tuple[ExtraNetwork, ...]
    notices: tuple[Notice, ...]


def read(text: Traced) -> Reading:
    """What compel's own parser reads. Where that stops with an error (a blend with text behind it, as many weights as
    not prompts), the prompt is read without the combination and a notice says so."""
    words = Words(_spaced(text))
    reader = _Reader(words)
    parts = reader.combination() or (Part(1.0, (reader.spans(_prompt(words)) or (Span("", 1.0, 0, 0),),)),)
    for match in _A1111.finditer(words.text.text):
        sentence = f"{match.group()[:40]!r} is A1111's syntax; in compel's it is read as words."
        reader.notices.append(_notice(sentence, words, match.start(), match.end()))
    return Reading(parts, tuple(reader.networks), tuple(reader.notices))


def _spaced(text: Traced) -> Traced:
    """compel puts a blank behind a comma that has none (but not behind the second of two that touch)."""
    pieces: list[Piece] = []
    position = 0
    for match in re.finditer(r",(\S)", text.text):
        pieces += [*text.pieces(position, match.start() + 1), (" ", text.source(match.start(1)))]
        position = match.start(1)
    return Traced([*pieces, *text.pieces(position, len(text.text))])


def _notice(sentence: str, words: Words, start: int, end: int) -> Notice:
    return Notice(sentence, words.text.source(start), words.text.source(end - 1) + 1)


@dataclass
class _Reader:
    words: Words
    networks: list[ExtraNetwork] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def combination(self) -> tuple[Part, ...] | None:
        """The parts of a `.blend()` or `.and()`; None where the prompt is neither."""
        text, first = self.words.text.text, []
        position = start = _after_blanks(text, 0)
        while (lora := self.words.operated(position)) and isinstance(lora.node, ExtraNetwork):
            first.append(lora.node)
            position = start = _after_blanks(text, lora.end)
        members, position = self._members(position)
        match = _COMBINED.match(text, position) if members else None
        if match is None:
            return None
        parts, chosen = None, options(match.group(2))
        if chosen is not None and match.group(1) == "blend":
            behind = _prompt(Words(self.words.text.slice(match.end(), len(text))))
            parts = self._blended([*first, *behind], members, chosen)
        elif chosen is not None and not first:
            parts = self._joined(members, chosen)
        if parts is None:
            self.notices.append(_notice(_CANNOT.format(match.group(1)), self.words, start, match.end()))
        return parts

    def _members(self, position: int) -> tuple[list[list[Node]], int]:
        """What stands in the brackets that open at `position`, and where the last of it ends."""
        members: list[list[Node]] = []
        text, end = self.words.text.text, position
        if text[position : position + 1] != "(":
            return members, end
        position = _after_blanks(text, position + 1)
        while found := self.words.target(position) or _quoted_prompt(self.words, position):
            members.append([found.node])
            end = found.end
            following = _NEXT.match(text, end)
            if following is None:
                break
            position = following.end()
        return members, end

    def _blended(self, around: list[Node], members: list[list[Node]], chosen: list[str]) -> tuple[Part, ...] | None:
        normalized = chosen[-1:] != ["no_normalize"]
        weights = _weights(chosen if normalized else chosen[:-1], len(members))
        total = sum(weights or ()) if normalized else 1.0
        # Only networks may stand around a blend; and weights that sum to nothing have no average.
        if weights is None or total == 0 or not all(isinstance(node, ExtraNetwork) for node in around):
            return None
        self.spans(around)
        parts = [(weight / total, (self.spans(nodes),)) for weight, nodes in zip(weights, members, strict=True)]
        return tuple(Part(limited(weight), sections, "blend") for weight, sections in parts)

    def _joined(self, members: list[list[Node]], chosen: list[str]) -> tuple[Part, ...] | None:
        weights = _weights(chosen, len(members))
        if weights is None:
            return None
        sections = tuple(self.spans(nodes) for nodes in members)
        return (Part(1.0, sections, section_weights=() if set(weights) == {1.0} else tuple(weights)),)

    def spans(self, nodes: list[Node]) -> tuple[Span, ...]:
        """The words in order with their weights multiplied out; neighbours of one weight are one, with a blank between
        (but a swap stays apart). What else is met is noted."""
        spans: list[tuple[float, list[Piece]]] = []
        apart = False
        stack: list[tuple[Node | None, float]] = [(node, 1.0) for node in reversed(nodes)]
        while stack:
            node, weight = stack.pop()
            if isinstance(node, Weighted):
                stack.extend((inner, weight * node.weight) for inner in reversed(node.nodes))
            elif isinstance(node, Swapped):
                self.notices.append(node.notice)
                stack += [(None, 1.0), (node.node, weight), (None, 1.0)]
            elif isinstance(node, ExtraNetwork):
                self.networks.append(node)
            elif node is None:
                apart = True
            elif spans and spans[-1][0] == weight and not apart:
                before = spans[-1][1][-1] if spans[-1][1] else ("", 0)
                spans[-1][1].extend(((" ", before[1] + len(before[0])), *node.pieces))
            else:
                spans.append((weight, list(node.pieces)))
                apart = False
        return tuple(Span.of(pieces, limited(weight)) for weight, pieces in spans)


def _after_blanks(text: str, position: int) -> int:
    return BLANKS.match(text, position).end()  # type: ignore[union-attr]  # matches anything


def _quoted_prompt(words: Words, position: int) -> Found | None:
    """A member in quotes that is no simple text: it is read as a prompt of its own, in which anything may stand."""
    match = words.match_quoted(position)
    return match and Found(Weighted(1.0, _prompt(Words(words.content(match)))), match.end())


def _prompt(words: Words) -> list[Node]:
    """A whole text as nodes: where nothing else fits, everything up to the next blank is a word."""
    nodes: list[Node] = []
    text, position = words.text.text, 0
    while (position := _after_blanks(text, position)) < len(text):
        found = words.operated(position)
        if found is None and text[position] in '"(':
            found = words.target(position)
        if found is None:
            found = words.free_word(position)
        nodes.append(found.node)
        position = found.end
    return nodes


def _weights(chosen: list[str], count: int) -> list[float] | None:
    try:
        weights = [limited(float(option)) for option in chosen] or [1.0] * count
    except ValueError:
        return None
    return weights if len(weights) == count else None
