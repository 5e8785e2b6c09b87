"""Attention weights as A1111 reads them: `(x)`, `[x]`, `(x:1.2)`, escapes, and BREAK between sections."""

import re

from .traced import Piece, Traced
from .tree import Span, limited

_TOKEN = re.compile(r"\\[()\[\]\\]|\\|\(|\[|:\s*([+-]?[.\d]+)\s*\)|\)|\]|[^\\()\[\]:]+|:")
_BREAK = re.compile(r"\bBREAK\b")
_BLANKS = re.compile(r"\s*")
_ROUND, _SQUARE = 1.1, 1 / 1.1
_DEPTH = 64
"""Brackets deeper than this have no further effect: 1.1 to that power is 446."""

Sections = tuple[tuple[Span, ...], ...]


class _Run:
    """Characters that carry one weight; `breaks` marks a BREAK."""

    __slots__ = ("breaks", "pieces", "weight")

    def __init__(self, pieces: list[Piece], breaks: bool = False) -> None:
        self.pieces = pieces
        self.breaks = breaks
        # A1111 marks a BREAK by this weight. Inside brackets it is multiplied like any other, and is then no mark any more.
        self.weight = -1.0 if breaks else 1.0


def weighted(text: Traced) -> Sections:
    """The sections of a text, each of spans; at least one section, and for an empty text one empty span."""
    runs = _joined(_runs(text))
    sections: list[tuple[Span, ...]] = []
    spans: list[Span] = []
    for run in runs:
        if run.breaks and run.weight == -1.0:
            sections.append(tuple(spans))
            spans = []
        elif run.pieces:
            spans.append(Span.of(run.pieces, limited(run.weight)))
    sections.append(tuple(spans))
    return ((Span("", 1.0, 0, 0),),) if sections == [()] else tuple(sections)


def literal(text: Traced) -> Sections:
    """The text as one span in which nothing is syntax (A1111's emphasis mode None)."""
    run = _Run(list(text.pieces(0, len(text.text))))
    return ((Span.of(run.pieces, limited(run.weight)) if run.pieces else Span("", 1.0, 0, 0),),)


def _runs(text: Traced) -> list[_Run]:
    runs: list[_Run] = []
    opened: dict[str, list[int | None]] = {"(": [], "[": []}

    def multiply(start: int | None, factor: float) -> None:
        for run in runs[start:] if start is not None else ():
            run.weight *= factor

    for match in _TOKEN.finditer(text.text):
        token, weight = match.group(), _number(match.group(1))
        if token[0] == "\\":
            runs.append(_Run(list(text.pieces(match.start() + 1, match.end()))))
        elif token in opened:
            opened[token].append(len(runs) if len(opened["("]) + len(opened["["]) < _DEPTH else None)
        elif weight is not None and opened["("]:
            multiply(opened["("].pop(), weight)
        elif token == ")" and opened["("]:
            multiply(opened["("].pop(), _ROUND)
        elif token == "]" and opened["["]:
            multiply(opened["["].pop(), _SQUARE)
        else:
            runs.extend(_broken(text, match.start(), match.end()))
            if match.group(1) is not None and weight is None and opened["("]:
                # A1111 stops with an error on a weight such as 1.2.3. Here it is text, and its bracket closes all the same.
                runs[-1].pieces = list(text.pieces(match.start(), match.end() - 1))
                multiply(opened["("].pop(), _ROUND)
    for start in opened["("]:
        multiply(start, _ROUND)
    for start in opened["["]:
        multiply(start, _SQUARE)
    return runs


def _number(typed: str | None) -> float | None:
    try:
        return None if typed is None else float(typed)
    except ValueError:
        return None


def _broken(text: Traced, start: int, end: int) -> list[_Run]:
    """Plain text, cut at BREAK, which takes the blanks around it along."""
    runs: list[_Run] = []
    for match in _BREAK.finditer(text.text, start, end):
        before = text.text[start : match.start()]
        runs.append(_Run(list(text.pieces(start, start + len(before.rstrip())))))
        runs.append(_Run(list(text.pieces(match.start(), match.end())), breaks=True))
        start = _BLANKS.match(text.text, match.end(), end).end()  # type: ignore[union-attr]  # matches anything
    runs.append(_Run(list(text.pieces(start, end))))
    return runs


def _joined(runs: list[_Run]) -> list[_Run]:
    """Neighbours of one weight made one, as A1111 does before it looks for tokens: `(a)(b)` is the word ab."""
    joined: list[_Run] = []
    for run in runs:
        if joined and joined[-1].weight == run.weight:
            joined[-1].pieces.extend(run.pieces)
        else:
            joined.append(run)
    return joined
