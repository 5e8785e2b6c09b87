"""A prompt read in either syntax, and what it says at each step."""

import re

from ..errors import InvalidRequest
from . import compel_syntax
from .editing import Edited, Timeline
from .extras import taken_out
from .traced import Traced
from .tree import Emphasis, Part, Syntax, Timed, check_syntax, limited
from .weights import Sections, literal, weighted

_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"[-+]?(?:\d+\.?|\d*\.\d+)")


def schedule(
    text: str,
    steps: int,
    syntax: Syntax = "a1111",
    *,
    compose: bool = True,
    comments: bool = True,
    emphasis: Emphasis = "original",
    steps_before: int | None = None,
    old_timelines: bool = False,
) -> tuple[Timed, ...]:
    """What `text`, as typed, says at the steps 1 to `steps`; the last entry ends at `steps`. Any text means something.

    Comments (unless switched off) and networks such as `<lora:name:1>` are left out in both syntaxes, since neither
    has another meaning for them. `compose` is off for negative prompts: for those A1111 knows no AND, nor a weight at
    the end. `emphasis` "none" makes brackets words. `steps_before` and `old_timelines`: see `Timeline`. compel's syntax
    has no schedule and none of these.
    """
    check_syntax(syntax)
    if steps < 1:
        raise InvalidRequest(f"num_inference_steps must be at least 1; got {steps}.", "num_inference_steps")
    traced, _ = taken_out(text, comments)
    if syntax == "compel":
        return (Timed(steps, compel_syntax.read(traced).parts),)
    parts = composed(traced) if compose else ((traced, 1.0),)
    timeline = Timeline(steps, steps_before, old_timelines)
    return _merged([(Edited(part, timeline), weight) for part, weight in parts], emphasis)


def at(timed: tuple[Timed, ...], call: int) -> Timed:
    """The entry that A1111 uses for model call `call`, counted from 0. It compares that count with the ends, which count
    from 1, so the first entry holds for one call more than its end says: at `[a:b:3]` the calls 0, 1, 2 and 3 see a.
    Samplers with two model calls per step count both there, and read the prompt for twice as many steps."""
    return next((entry for entry in timed if call <= entry.until), timed[-1])


def composed(text: Traced) -> tuple[tuple[Traced, float], ...]:
    """The parts between the words AND, wherever those stand, each with the weight at its end (`cat :0.5`). A1111 reads
    such a weight also where there is no AND: a prompt that ends in `16:9` has the weight 9."""
    parts = []
    position = 0
    for match in (*_AND.finditer(text.text), None):
        start, end = position, match.start() if match else len(text.text)
        position = match.end() if match else end
        parts.append(_weight_at_end(text, start, end))
    return tuple(parts)


def _weight_at_end(text: Traced, start: int, end: int) -> tuple[Traced, float]:
    # By hand rather than by A1111's pattern, which takes quadratic time on a long run of blanks.
    end = start + len(text.text[start:end].rstrip())
    number = end
    while number > start and (text.text[number - 1].isdecimal() or text.text[number - 1] == "."):
        number -= 1
    if number > start and number < end and text.text[number - 1] in "+-":
        number -= 1
    before = text.text[start:number].rstrip()
    if not before.endswith(":") or not _WEIGHT.fullmatch(text.text, number, end):
        return text.slice(start, end), 1.0
    words = before[:-1].rstrip()
    return text.slice(start, start + len(words)), limited(float(text.text[number:end]))


def _merged(parts: list[tuple[Edited, float]], emphasis: Emphasis) -> tuple[Timed, ...]:
    read = literal if emphasis == "none" else weighted
    known: dict[tuple[int, str], Sections] = {}  # alternations bring the same texts back again and again
    merged: list[Timed] = []
    for end in sorted({end for edited, _ in parts for end in edited.ends()}):
        said = []
        for index, (edited, weight) in enumerate(parts):
            text = edited.at(end)
            key = (index, text.text)
            if key not in known:
                known[key] = read(text)
            said.append(Part(weight, known[key]))
        if merged and merged[-1].parts == tuple(said):
            merged.pop()
        merged.append(Timed(end, tuple(said)))
    return tuple(merged)
