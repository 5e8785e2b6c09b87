"""Dynamic prompts: `__wildcards__` and `{a|b|c}` made one plain prompt, by a seed."""

import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import InvalidRequest, StudioError
from .wildcards import Wildcards

LONGEST = 100_000
"""Characters that a prompt may expand to."""
_DEEPEST = 32
_DEEPEST_BRACES = 100
_MOST = 10_000
_TOKEN = re.compile(r"\\.|__(?![\s_])(?:(?!__)[\w\-./* ?])+(?<!\s)__|[{}|]|[^\\{}|_]+|.", re.DOTALL)
_COUNT = re.compile(r"\s*(?:(\d{1,3})?(-)?(\d{1,3})?)\s*\Z")
_WEIGHT = re.compile(r"\s*(\d{1,6}(?:\.\d{0,6})?|\.\d{1,6})\s*::")


class _Wildcard(NamedTuple):
    name: str
    start: int = 0
    end: int = 0


class _Option(NamedTuple):
    weight: float
    nodes: list["_Node"]


@dataclass
class _Variants:
    options: list[_Option] = field(default_factory=list)
    low: int = 1
    high: int | None = 1  # None for as many as there are
    joiner: str = ", "
    start: int = 0
    end: int = 0


_Node = str | _Wildcard | _Variants


def expand(text: str, seed: int, wildcards: Wildcards | None = None) -> str:
    """One prompt that `text` may stand for; the same for the same seed and files.

    `__name__` is a line of a wildcard file, `__folder/name__` and `__na*__` too. `{a|b|c}` is one of its options,
    `{0.5::a|b}` with weights (1 where none is given), `{2$$a|b|c}` two different ones in any order with ", " between,
    `{1-2$$ and $$a|b|c}` one or two with " and ". All may stand inside one another and in wildcard files. Braces without
    a `|` or `$$` stay, as does what is escaped by a backslash. Raises `InvalidRequest` where a wildcard is missing, where
    they call one another too deep, or where the result is longer than 100,000 characters.
    """
    draw = random.Random(seed)
    wildcards = wildcards or Wildcards()
    said: list[str] = []
    work: list[tuple[_Node, int]] = [(node, 0) for node in reversed(_parsed(text))]
    length = choices = 0
    while work:
        node, depth = work.pop()
        if isinstance(node, str):
            said.append(node)
            length += len(node)
        else:
            choices += 1
            deeper = depth + isinstance(node, _Wildcard)
            chosen = _line(node, draw, wildcards) if isinstance(node, _Wildcard) else _chosen(node, draw, wildcards)
            work.extend((inner, deeper) for inner in reversed(chosen))
            if deeper > _DEEPEST:
                raise InvalidRequest(f"Wildcards may call one another {_DEEPEST} deep; {_name(node)} lies deeper.", "prompt")
        if length > LONGEST or choices > _MOST:
            limit = f"{LONGEST:,} characters" if length > LONGEST else f"{_MOST:,} choices"
            raise InvalidRequest(f"A prompt may expand to at most {limit}; this one does to more.", "prompt")
    return "".join(said)


@dataclass(frozen=True)
class Choice:
    """Something in a text that `expand` chooses: from `start` to `end`, `depth` others around it.

    It takes `low` to `high` (None: as many as there are) of `options`, which are those of the wildcard `name` where that is not "".
    """

    start: int
    end: int
    depth: int
    name: str
    options: int
    low: int
    high: int | None


def choices(text: str, wildcards: Wildcards | None = None) -> Iterator[Choice]:
    """Everything that `expand` chooses in a text, as it is typed, outer ones first. A wildcard that cannot be read has 0 options.
    Raises `InvalidRequest` for braces that lie too deep."""
    known = wildcards or Wildcards()
    work: list[tuple[_Node, int]] = [(node, 0) for node in reversed(_parsed(text))]
    while work:
        node, depth = work.pop()
        if isinstance(node, _Wildcard):
            yield Choice(node.start, node.end, depth, node.name, _offered(node, known), 1, 1)
        elif isinstance(node, _Variants):
            several = _several_of_one(node)
            offered = _offered(several, known) if several else len(node.options)
            yield Choice(node.start, node.end, depth, several.name if several else "", offered, node.low, node.high)
            inside = () if several else (inner for option in reversed(node.options) for inner in reversed(option.nodes))
            work.extend((inner, depth + 1) for inner in inside)


def _offered(wildcard: _Wildcard, wildcards: Wildcards) -> int:
    try:
        return len(wildcards.values(wildcard.name))
    except StudioError:
        return 0


def is_dynamic(text: str) -> bool:
    """Whether `expand` would change the text."""
    return not all(isinstance(node, str) for node in _parsed(text))


def _name(node: "_Node") -> str:
    return f"__{node.name[:80]}__" if isinstance(node, _Wildcard) else "a choice"


def _line(node: _Wildcard, draw: random.Random, wildcards: Wildcards) -> list[_Node]:
    values = wildcards.values(node.name)
    return _parsed(values[_below(len(values), draw)])


def _chosen(variants: _Variants, draw: random.Random, wildcards: Wildcards) -> list[_Node]:
    options, several = variants.options, _several_of_one(variants)
    if several:
        options = [_Option(1.0, _parsed(line)) for line in wildcards.values(several.name)]
    high = len(options) if variants.high is None else variants.high
    low, high = sorted((min(variants.low, len(options)), min(high, len(options))))
    nodes: list[_Node] = []
    for number, option in enumerate(_picked(options, low + _below(high - low + 1, draw), draw)):
        nodes.extend([variants.joiner] if number else [])
        nodes.extend(option.nodes)
    return nodes


def _several_of_one(variants: _Variants) -> _Wildcard | None:
    """The wildcard of which several are asked for: those are several different lines."""
    nodes = variants.options[0].nodes
    alone = len(variants.options) == 1 and len(nodes) == 1 and (variants.low, variants.high) != (1, 1)
    return nodes[0] if alone and isinstance(nodes[0], _Wildcard) else None


def _picked(options: Sequence[_Option], count: int, draw: random.Random) -> list[_Option]:
    """`count` different ones, each drawn by weight from those that are left, in one pass (Efraimidis and Spirakis, 2006)."""
    # Where no option has a weight, each is as good.
    weights = [option.weight for option in options] if any(option.weight for option in options) else [1.0] * len(options)
    keys = [-math.log(1.0 - draw.random()) / weight if weight else math.inf for weight in weights]
    return [options[index] for index in sorted(range(len(options)), key=keys.__getitem__)[:count]]


def _below(count: int, draw: random.Random) -> int:
    """A number from 0 to count - 1, by the one method whose results Python keeps between versions."""
    return min(int(draw.random() * count), count - 1)


def _parsed(text: str) -> list[_Node]:
    """The text as nodes, by a stack instead of calls."""
    stack: list[list[list[_Node]]] = [[[]]]
    opened: list[int] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        options = stack[-1]
        if token == "{":
            stack.append([[]])
            opened.append(match.start())
            if len(stack) > _DEEPEST_BRACES + 1:
                raise InvalidRequest(f"Braces may lie {_DEEPEST_BRACES} deep in one another; these lie deeper.", "prompt")
        elif token == "}" and len(stack) > 1:
            stack.pop()
            stack[-1][-1].extend(_variants(options, opened.pop(), match.end()))
        elif token == "|" and len(stack) > 1:
            options.append([])
        elif len(token) > 4 and token.startswith("__"):
            options[-1].append(_Wildcard(token[2:-2], *match.span()))
        else:
            options[-1].append(token)
    while len(stack) > 1:
        options = stack.pop()
        stack[-1][-1].extend(["{", *_with_bars(options)])
    return _merged(stack[0][0])


def _variants(options: list[list[_Node]], start: int, end: int) -> list[_Node]:
    """What stands between two braces: a choice, or, where it offers none, what was typed."""
    options = [_merged(option) for option in options]
    variants = _Variants(start=start, end=end)
    first = options[0][0] if options[0] and isinstance(options[0][0], str) else ""
    head = first.split("$$", 2)
    count = _COUNT.match(head[0]) if len(head) > 1 else None
    if count and any(count.groups()):
        variants.low = int(count[1] or 0)
        variants.high = int(count[3]) if count[3] else (None if count[2] else variants.low)
        variants.joiner = head[1] if len(head) > 2 else ", "
        options[0] = [head[-1], *options[0][1:]] if head[-1] else options[0][1:]
    elif len(options) == 1:
        return ["{", *options[0], "}"]
    for option in options:
        weight = _WEIGHT.match(option[0]) if option and isinstance(option[0], str) else None
        rest = [option[0][weight.end() :], *option[1:]] if weight and isinstance(option[0], str) else option
        variants.options.append(_Option(float(weight[1]) if weight else 1.0, [node for node in rest if node != ""]))
    return [variants]


def _with_bars(options: list[list[_Node]]) -> list[_Node]:
    nodes = list(options[0])
    for option in options[1:]:
        nodes += ["|", *option]
    return nodes


def _merged(nodes: list[_Node]) -> list[_Node]:
    merged: list[_Node] = []
    run: list[str] = []
    for node in nodes:
        if isinstance(node, str):
            run.append(node)
            continue
        merged.extend(["".join(run)] if run else [])
        run = []
        merged.append(node)
    return [*merged, "".join(run)] if run else merged
