"""What a compel prompt is made of below its operators: words, brackets, quotes and the weights behind them."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from .traced import Piece, Traced
from .tree import ExtraNetwork, Notice, limited

_PLUS, _MINUS = 1.1, 0.9
_SYNTAX = r"()\",.+\-="
WORD = re.compile(rf"(?:\\[{_SYNTAX}]|[-+](?![ \t\n\r{_SYNTAX}]|\Z)|-?[0-9]+|[^ \t\n\r\x0b\x0c{_SYNTAX}])+")
FREE_WORD = re.compile(r"[^ \t\n\r\x0b\x0c]+")
BLANKS = re.compile(r"[ \t\n\r\x0b\x0c]*")
NUMBER = r"(?:[+-]?(?:\d+\.\d*|\.\d+)|-?[0-9]+)"
KEYWORD = r"[A-Za-z0-9_-]+"
# Options are found by a pattern that can match in one way only, and judged apart: one with alternatives takes exponential time.
_OPTION = r"[A-Za-z0-9_.+-]+(?:\s*=\s*[A-Za-z0-9_.+-]+)?"
OPTIONS = rf"\s*{_OPTION}(?:\s*,\s*{_OPTION})*\s*"
_GOOD_OPTION = re.compile(rf"{KEYWORD}\s*=\s*(?:{NUMBER}|(?!{NUMBER}){KEYWORD})|{NUMBER}|(?!{NUMBER}){KEYWORD}")
_SIGNS = re.compile(r"\++|-+")
_SIGNS_OR_NUMBER = re.compile(rf"\++|-+|{NUMBER}")
_ATTEND = re.compile(rf"\s*\.attend\s*\(\s*(\++|-+|{NUMBER})\s*\)")
_SWAP = re.compile(rf'\s*\.swap\s*\(([^()",]*)(?:,({OPTIONS}))?\)')
_LORA = re.compile(rf"(?:useLora|withLora)\s*\(\s*({KEYWORD})\s*(?:,\s*({NUMBER})\s*)?\)")
_QUOTED = re.compile(r'"((?:\\"|[^"\n\r])*)"')
_ESCAPE = re.compile(r'\\(?=[()"])')
_BLANK_ESCAPE = re.compile(r"\\[tnfr]")


class Word(NamedTuple):
    pieces: tuple[Piece, ...]


class Weighted(NamedTuple):
    weight: float
    nodes: list["Node"]


class Swapped(NamedTuple):
    """A `.swap()`, of which only the words before it count."""

    node: "Node"
    notice: Notice


Node = Word | Weighted | Swapped | ExtraNetwork


class Found(NamedTuple):
    node: Node
    end: int


@dataclass
class Words:
    """Reads a text. Every bracket and quote is looked at once, so a text takes linear time."""

    text: Traced
    _brackets: dict[int, Found | None] = field(default_factory=dict)
    _quotes: dict[int, Found | None] = field(default_factory=dict)

    def target(self, position: int) -> Found | None:
        """What an operator may stand behind: something in quotes or brackets, or a bare word."""
        character = self.text.text[position : position + 1]
        if character == '"':
            return self.quoted(position)
        if character == "(":
            return self.bracket(position)
        return self._word(position)

    def operated(self, position: int) -> Found | None:
        """A target with an operator behind it, or a request for a LoRA."""
        lora = self._lora(position)
        target = None if lora else self.target(position)
        return lora or (target and self._operator(target, bare=self.text.text[position] not in '"('))

    def quoted(self, start: int) -> Found | None:
        if start not in self._quotes:
            match = _QUOTED.match(self.text.text, start)
            self._quotes[start] = match and self._content(match)
        return self._quotes[start]

    def content(self, match: re.Match[str]) -> Traced:
        """What stands between the quotes of a match of quoted text."""
        inner = self.text.slice(*match.span(1))
        return inner.replaced(_BLANK_ESCAPE.finditer(inner.text), " ")

    def match_quoted(self, start: int) -> re.Match[str] | None:
        return _QUOTED.match(self.text.text, start)

    def _content(self, match: re.Match[str]) -> Found | None:
        inner = Words(self.content(match))
        nodes = inner._sequence(0, None) if inner.text.text.strip() else [Word(())]
        return None if nodes is None else Found(Weighted(1.0, nodes), match.end())

    def bracket(self, start: int) -> Found | None:
        if start not in self._brackets:
            self._sequence(start + 1, start)
        return self._brackets[start]

    def _sequence(self, position: int, opened: int | None) -> list[Node] | None:
        """The nodes from `position` to the end of the text (`opened` is None) or to the bracket that closes the one at
        `opened`, told in the table of brackets. A stack instead of calls: brackets may lie any number deep."""
        stack: list[tuple[int, list[Node]]] = [(-1 if opened is None else opened, [])]
        text = self.text.text
        while True:
            position = BLANKS.match(text, position).end()  # type: ignore[union-attr]  # matches anything
            character = text[position : position + 1]
            if not character and opened is None and len(stack) == 1:
                return stack[0][1]
            found: Found | None
            if character == "(" and position not in self._brackets:
                stack.append((position, []))
                position += 1
                continue
            if character == ")" and stack[-1][0] >= 0:
                start, nodes = stack.pop()
                found = self._brackets[start] = Found(Weighted(1.0, nodes), position + 1)
                if not stack:
                    return nodes
                found = self._operator(found, bare=False) or found
            else:
                found = self._part(position)
            if found is None:
                self._brackets.update((start, None) for start, _ in stack if start >= 0)
                return None
            stack[-1][1].append(found.node)
            position = found.end

    def _part(self, position: int) -> Found | None:
        if self.text.text[position : position + 1] in (",", "."):
            return Found(self._as_word(position, position + 1), position + 1)
        return self.operated(position) or self.target(position) if position < len(self.text.text) else None

    def _word(self, position: int) -> Found | None:
        match = WORD.match(self.text.text, position)
        return match and Found(self._as_word(position, match.end()), match.end())

    def free_word(self, position: int) -> Found:
        """Everything up to the next blank."""
        end = FREE_WORD.match(self.text.text, position).end()  # type: ignore[union-attr]  # asked for at no blank
        return Found(self._as_word(position, end), end)

    def _as_word(self, start: int, end: int) -> Word:
        if "\\" not in self.text.text[start:end]:
            return Word(tuple(self.text.pieces(start, end)))
        word = self.text.slice(start, end)
        word = word.replaced(_ESCAPE.finditer(word.text))
        return Word(tuple(word.pieces(0, len(word.text))))

    def _operator(self, target: Found, bare: bool) -> Found | None:
        """The target with the operator behind it, if there is one; a bare word takes signs, and no number."""
        text, nodes = self.text.text, [target.node]
        if attend := _ATTEND.match(text, target.end):
            return Found(Weighted(_weight(attend.group(1)), nodes), attend.end())
        if weight := (_SIGNS if bare else _SIGNS_OR_NUMBER).match(text, target.end):
            return Found(Weighted(_weight(weight.group()), nodes), weight.end())
        swap = _SWAP.match(text, target.end)
        if swap and options(swap.group(2)) is not None:
            start, end = self.text.source(swap.start()), self.text.source(swap.end() - 1) + 1
            sentence = f"“.swap” is not supported; {swap.group(1).strip()[:40]!r} is left out and the words before it stay."
            return Found(Swapped(target.node, Notice(sentence, start, end)), swap.end())
        return None

    def _lora(self, position: int) -> Found | None:
        match = _LORA.match(self.text.text, position)
        if not match:
            return None
        weight = limited(float(match.group(2) or 1))
        start, end = self.text.source(match.start()), self.text.source(match.end() - 1) + 1
        return Found(ExtraNetwork("lora", match.group(1), weight, weight, start, end), match.end())


def options(typed: str | None) -> list[str] | None:
    """What stands between the brackets of an operator; None if it is nothing that compel takes."""
    found = [option.strip() for option in typed.split(",")] if typed else []
    return found if all(_GOOD_OPTION.fullmatch(option) for option in found) else None


def _weight(operator: str) -> float:
    if operator.strip("+-"):
        return limited(float(operator))
    try:
        return limited((_PLUS if operator[0] == "+" else _MINUS) ** len(operator))
    except OverflowError:
        return limited(float("inf"))
