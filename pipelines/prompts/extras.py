"""What stands in a prompt and is not for the text encoder: comments, and networks such as `<lora:name:0.8>`."""

import re

from . import compel_syntax
from .traced import Traced, typed
from .tree import ExtraNetwork, Syntax, check_syntax, limited

_NETWORK = re.compile(r"<(\w+):([^>]+)>")
_WHOLE_LINE = re.compile(r"(?:^|\n)#[^\n]*(?:\n|$)")
_REST_OF_LINE = re.compile(r"#[^\n]*(?:\n|$)")
_SAME_AS = {"lyco": "lora"}


def extras(text: str, syntax: Syntax = "a1111", comments: bool = True) -> tuple[str, tuple[ExtraNetwork, ...]]:
    """The text without comments and networks, and the networks in their order.

    As A1111 reads it: `<lora:name>`, `<lora:name:weight>`, `<lora:name:text_weight:weight>` (the text encoder's weight
    comes first), and the named `te=` and `unet=`; `lyco` is another word for `lora`. Every other `<word:...>` is taken
    out too and told with its word as `kind`. For compel those of `withLora(name, weight)` follow, which stay in the text:
    `schedule` knows that they are no words.
    """
    check_syntax(syntax)
    traced, networks = taken_out(text, comments)
    return traced.text, (*networks, *(compel_syntax.read(traced).networks if syntax == "compel" else ()))


def taken_out(text: str, comments: bool) -> tuple[Traced, tuple[ExtraNetwork, ...]]:
    """The text without comments and networks, and the networks in their order; see `extras`."""
    traced = without_comments(typed(text)) if comments else typed(text)
    # A "<" after the last ">" cannot begin a match, and looking for one from each of many would take quadratic time.
    matches = list(_NETWORK.finditer(traced.text, 0, traced.text.rfind(">") + 1))
    networks = tuple(_network(match, traced.source(match.start()), traced.source(match.end() - 1) + 1) for match in matches)
    return traced.replaced(matches), networks


def without_comments(traced: Traced) -> Traced:
    """From `#` to the end of the line, wherever it stands, as A1111 does while its option "Enable comments" is on."""
    if "#" not in traced.text:
        return traced
    lines = traced.replaced(_WHOLE_LINE.finditer(traced.text), "\n")
    return lines.replaced(_REST_OF_LINE.finditer(lines.text), "\n")


def _network(match: re.Match[str], start: int, end: int) -> ExtraNetwork:
    kind, items = match.group(1), match.group(2).split(":")
    named = dict(item.split("=") for item in items[1:] if item.count("=") == 1)
    positional = [item for item in items[1:] if item.count("=") != 1]
    wrong: list[str] = []

    def number(typed: str | None, default: float) -> float:
        if typed is None:
            return default
        try:
            return limited(float(typed))
        except ValueError:
            wrong.append(typed)
            return default

    text_weight = number(named.get("te", positional[0] if positional else None), 1.0)
    weight = number(named.get("unet", positional[1] if len(positional) > 1 else None), text_weight)
    notice = f"The weight {wrong[0][:40]!r} of {items[0][:80]!r} is no number; {text_weight:g} is used." if wrong else None
    return ExtraNetwork(_SAME_AS.get(kind, kind), items[0], weight, text_weight, start, end, notice)
