"""Prompt editing as A1111 reads it: `[from:to:when]`, `[to:when]`, `[from::when]` and the alternation `[a|b|c]`."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from .traced import Piece, Traced

_TOKEN = re.compile(r"(?:[^\\\[\]():|]|\\.)+|[\[\]():|\\]")
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*")
_CLOSES = {")": "(", "]": "["}


@dataclass(frozen=True)
class Timeline:
    """How long a pass is, and how A1111 reads the `when` of an edit in it.

    A number with a point is a fraction of the pass, one without is a step. In a hires pass (`before` steps come before it)
    both count on from the first pass: 1.5 is its middle, and `before` + 1 its first step. `old` is A1111's option "Old
    prompt editing timelines": numbers under 1 are fractions, others steps, in each pass anew.
    """

    steps: int
    before: int | None = None
    old: bool = False

    def step(self, when: str) -> int:
        value = max(-1e9, min(1e9, float(when)))
        if self.old:
            value = value * self.steps if value < 1 else value
        elif "." in when:
            value = (value - (0.0 if self.before is None else 1.0)) * self.steps
        else:
            value -= self.before or 0
        return min(self.steps, int(value))


@dataclass(frozen=True)
class _Choice:
    """Brackets that stand for one of several runs of tokens, given by their first and last-but-one index."""

    options: tuple[tuple[int, int], ...]
    close: int
    when: int | None  # None for an alternation

    def at(self, step: int) -> tuple[int, int]:
        if self.when is None:
            return self.options[(step - 1) % len(self.options)]
        return self.options[0] if step <= self.when else self.options[1]


@dataclass
class _Open:
    opener: str
    index: int
    separators: list[int]
    alternates: bool = False


class Edited:
    """A prompt with its edits found; `at` says what it is at a step.

    A1111's grammar forgives stray brackets and colons, which are then text; but a `|` outside an alternation, or a
    backslash with nothing after it, makes it leave every edit of the prompt as text, and so it is here.
    """

    def __init__(self, text: Traced, timeline: Timeline) -> None:
        self._text = text
        self._timeline = timeline
        self._tokens = [match.span() for match in _TOKEN.finditer(text.text)]
        self._starts = [start for start, _ in self._tokens]
        self._choices: dict[int, _Choice] = {}
        self.understood = self._find()
        """False where A1111's grammar does not fit and nothing is edited."""
        if not self.understood:
            self._choices.clear()
        self._whens = sorted({choice.when for choice in self._choices.values() if choice.when is not None})
        self._lengths = sorted({len(choice.options) for choice in self._choices.values() if choice.when is None})
        self._known: dict[tuple[int, ...], Traced] = {}

    def ends(self) -> list[int]:
        """The steps at which what the prompt says may end, ascending, the last of the pass included."""
        steps = {self._timeline.steps}
        for choice in self._choices.values():
            if choice.when is None:
                return list(range(1, self._timeline.steps + 1))
            if choice.when >= 1:
                steps.add(choice.when)
        return sorted(steps)

    def at(self, step: int) -> Traced:
        """The text at a step, counted from 1; the same object at steps that say the same."""
        if not self._choices:
            return self._text
        key = (bisect_left(self._whens, step), *((step - 1) % length for length in self._lengths))
        if key not in self._known:
            self._known[key] = Traced(self._pieces(step))
        return self._known[key]

    def _pieces(self, step: int) -> Iterator[Piece]:
        index, inside = 0, []
        while index < len(self._tokens) or inside:
            if inside and index == inside[-1][0]:
                index = inside.pop()[1] + 1
            elif index in self._choices:
                choice = self._choices[index]
                index, stop = choice.at(step)
                inside.append((stop, choice.close))
            else:
                yield from self._text.pieces(*self._tokens[index])
                index += 1

    def _find(self) -> bool:
        """Fills the table of choices; False if the grammar does not fit. A bracket that fails makes all those around
        it fail, since only the outermost level may hold stray ones: so one look at each token is enough."""
        opened: list[_Open] = []
        text = self._text.text
        for index, (start, end) in enumerate(self._tokens):
            token = text[start:end] if end - start == 1 else ""
            if token == "\\":
                return False
            if token in ("(", "["):
                opened.append(_Open(token, index, []))
            elif token in (":", "|"):
                if opened:
                    opened[-1].separators.append(index)
                    opened[-1].alternates |= token == "|"
                elif token == "|":
                    return False
            elif token in _CLOSES and opened:
                if opened[-1].opener == _CLOSES[token] and self._close(opened[-1], index):
                    opened.pop()
                elif any(group.alternates for group in opened):
                    return False
                else:
                    opened.clear()
        return not any(group.alternates for group in opened)

    def _close(self, group: _Open, close: int) -> bool:
        separators = group.separators
        colons = sum(self._text.text[self._starts[index]] == ":" for index in separators)
        if group.opener == "(":
            return not group.alternates and colons <= 1
        if not separators:
            return True
        if group.alternates:
            edges = [group.index, *separators, close]
            options = tuple((before + 1, after) for before, after in pairwise(edges))
            if colons == 0:
                self._choices[group.index] = _Choice(options, close, None)
            return colons == 0
        when = _NUMBER.fullmatch(self._text.text, self._starts[separators[-1]] + 1, self._starts[close])
        if when is None or colons > 2:
            return False
        first = (group.index + 1, separators[0])
        options = ((first[0], first[0]), first) if colons == 1 else (first, (separators[0] + 1, separators[1]))
        self._choices[group.index] = _Choice(options, close, self._timeline.step(when.group(1)))
        return True
