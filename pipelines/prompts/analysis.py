"""What the prompt box shows of a prompt while it is typed: its chunks, weights, steps and networks, and what is amiss."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from difflib import get_close_matches
from itertools import chain, islice
from typing import Any, Protocol

from ..errors import InvalidRequest, StudioError, printable
from . import compel_syntax
from .clip_tokenizer import Marks
from .editing import Edited, Timeline
from .expand import Choice, choices, expand, is_dynamic
from .extras import extras, taken_out
from .grammar import composed, schedule
from .tokens import Chunk, chunks
from .traced import Traced
from .tree import ExtraNetwork, Notice, Part, Span, Syntax, Timed
from .wildcards import Wildcards

_READ = 200_000
"""Characters of all the different texts that a prompt becomes: those beyond are not counted in tokens, nor shown, but the first is."""
_SPANS = 2000
"""Of a prompt with more pieces, the first so many are told."""
_CLOSES = {")": "(", "]": "["}
_BRACKET = re.compile(r"\\.|[()\[\]]", re.DOTALL)
_BREAK = re.compile(r"\bBREAK\b")
_MATTERS = 100
_Key = tuple[int, ...]
_Stretch = tuple[int, int, float]


class Tokenizer(Protocol):
    """As `clip_tokenizer.ClipTokenizer`."""

    @property
    def marks(self) -> Marks: ...

    def __call__(self, text: str) -> list[int]: ...

    def offsets(self, text: str) -> list[tuple[int, int]]: ...


def analyse(
    text: str,
    steps: int,
    tokenizer: Tokenizer,
    loras: Collection[str] = (),
    embeddings: Mapping[str, int] | None = None,
    syntax: Syntax = "a1111",
    *,
    compose: bool = True,
    comments: bool = True,
    wildcards: Wildcards | None = None,
) -> dict[str, Any]:
    """JSON for the prompt box. Positions count the characters (code points) of `text`; steps count from 1, and both ends of
    a range of steps belong to it.

    `timeline`: for each text the prompt becomes (the first ones, where they are very long; `texts` says how many there are): `from`,
    `until`, `tokens`, and `parts` with `weight`, `kind` and `chunks` (`tokens`, `room`, `start`, `end`). `spans`: what is read in
    those, with `weight` and `steps` (ranges). `networks`: with `known` and names `near`. `embeddings`: those found, with `vectors`.
    `unbalanced`: brackets without a partner. `notices`: sentences with `start` and `end`. `dynamic`: whether wildcards or variants
    are still to be chosen: the `choices` (`expand.Choice`), which are taken for words by all the rest. `..._left`: how many more.
    """
    dynamic, chosen, amiss = _dynamic(text, wildcards)
    read = schedule(_settled(text, chosen), steps, syntax, compose=compose, comments=comments)
    stripped = taken_out(text, comments)[0]
    networks = extras(text, syntax, comments)[1]
    notices = islice(chain(amiss, _networks_amiss(networks, loras), _amiss(stripped, read, syntax, compose, dynamic)), _MATTERS)
    timeline, found = _timeline(read, tokenizer, embeddings or {}, syntax)
    spans, spans_left = _spans(read[: len(timeline)])
    return {
        "syntax": syntax,
        "steps": steps,
        "tokens": max(entry["tokens"] for entry in timeline),
        "timeline": timeline,
        "texts": len(read),
        "spans": spans,
        "spans_left": spans_left,
        "networks": [_network(network, loras) for network in networks[:_MATTERS]],
        "embeddings": found,
        "unbalanced": _unbalanced(stripped, syntax)[:_MATTERS],
        "dynamic": dynamic,
        "choices": [asdict(choice) | {"name": printable(choice.name)} for choice in chosen[:_SPANS]],
        "choices_left": max(0, len(chosen) - _SPANS),
        "notices": [asdict(notice) | {"sentence": printable(notice.sentence)} for notice in notices],
    }


def _timeline(
    read: tuple[Timed, ...], tokenizer: Tokenizer, embeddings: Mapping[str, int], syntax: Syntax
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    entries: list[dict[str, Any]] = []
    found: dict[int, dict[str, Any]] = {}
    known: dict[_Key, list[dict[str, Any]]] = {}
    begin, left = 1, _READ
    for timed in read:
        key = _key(timed)
        if key not in known:
            left -= sum(len(span.text) for span in _all(timed))
            if left < 0 and known:
                break
            known[key] = [_part(part, tokenizer, embeddings, syntax, found) for part in timed.parts]
        tokens = max(sum(chunk["tokens"] for chunk in part["chunks"]) for part in known[key])
        entries.append({"from": begin, "until": timed.until, "tokens": tokens, "parts": known[key]})
        begin = timed.until + 1
    return entries, [found[start] for start in sorted(found)][:_MATTERS]


def _part(
    part: Part, tokenizer: Tokenizer, embeddings: Mapping[str, int], syntax: Syntax, found: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    """A part with its chunks; embeddings in it are added to `found`, by where they stand."""
    cut = chunks(part, tokenizer, tokenizer.marks, embeddings, sentences=syntax == "compel")
    places = _Places(part, tokenizer)
    for name, vectors, start, end in _embeddings(cut, places, tokenizer):
        found[start] = {"name": name, "vectors": vectors, "start": start, "end": end}
    return {"weight": part.weight, "kind": part.kind, "chunks": [_chunk(chunk, places) for chunk in cut]}


def _key(timed: Timed) -> _Key:
    """The same for entries of one schedule that say the same: what is said again is the same object there."""
    return tuple(id(part.sections) for part in timed.parts)


def lengths(
    text: str,
    steps: int,
    seeds: Iterable[int],
    tokenizer: Tokenizer,
    embeddings: Mapping[str, int] | None = None,
    syntax: Syntax = "a1111",
    *,
    compose: bool = True,
    wildcards: Wildcards | None = None,
) -> tuple[int, int] | None:
    """The fewest and the most tokens that a text with wildcards or variants becomes with these seeds (with the first ones, where it
    becomes very long); None where it is not dynamic, or an expansion fails."""
    try:
        if not is_dynamic(text):
            return None
        expanded: set[str] = set()
        for seed in seeds:
            expanded.add(expand(text, seed, wildcards or Wildcards()))
            if sum(map(len, expanded)) > _READ:
                break
    except StudioError:
        return None
    found = []
    for one in expanded:
        timeline, _ = _timeline(schedule(one, steps, syntax, compose=compose), tokenizer, embeddings or {}, syntax)
        found.append(max(entry["tokens"] for entry in timeline))
    return (min(found), max(found)) if found else None


class _Places:
    """Where the tokens of a part stand in the typed text; each span is tokenized for it at most once."""

    def __init__(self, part: Part, tokenizer: Tokenizer) -> None:
        self._spans = [span for section in part.sections for span in section]
        self._offsets: dict[int, list[tuple[int, int]]] = {}
        self._tokenizer = tokenizer

    def of(self, origin: tuple[int, int], tokens: int = 1) -> tuple[int, int]:
        """(start, end) of some tokens from `origin` on."""
        index, token = origin
        span = self._spans[index]
        if index not in self._offsets:
            self._offsets[index] = self._tokenizer.offsets(span.text)
        offsets = self._offsets[index]
        start, end = offsets[token][0], offsets[min(token + tokens, len(offsets)) - 1][1]
        return span.source(start), span.source(end - 1) + 1 if end > start else span.source(start)


def _chunk(chunk: Chunk, places: _Places) -> dict[str, Any]:
    start = places.of(chunk.origins[0])[0] if chunk.origins else None
    end = places.of(chunk.origins[-1])[1] if chunk.origins else None
    return {"tokens": chunk.used, "room": len(chunk.ids) - 2, "start": start, "end": end}


def _embeddings(cut: tuple[Chunk, ...], places: _Places, tokenizer: Tokenizer) -> Iterator[tuple[str, int, int, int]]:
    for chunk in cut:
        for position, name, vectors in chunk.embeddings:
            yield name, vectors, *places.of(chunk.origins[position - 1], len(tokenizer(name)))


def _spans(read: tuple[Timed, ...]) -> tuple[list[dict[str, Any]], int]:
    """The first `_SPANS` pieces, and how many more there are."""
    here: dict[_Key, set[_Stretch]] = {}
    for timed in read:
        if (key := _key(timed)) not in here:
            here[key] = {(*stretch, span.weight) for span in _all(timed) for stretch in span.stretches()}
    said = sorted(set().union(*here.values()))
    steps: dict[_Stretch, list[list[int]]] = {stretch: [] for stretch in said[:_SPANS]}
    told = {key: [stretch for stretch in stretches if stretch in steps] for key, stretches in here.items()}
    begin = 1
    for timed in read:
        for stretch in told[_key(timed)]:
            ranges = steps[stretch]
            if ranges and ranges[-1][1] == begin - 1:
                ranges[-1][1] = timed.until
            else:
                ranges.append([begin, timed.until])
        begin = timed.until + 1
    spans = [{"start": start, "end": end, "weight": weight, "steps": ranges} for (start, end, weight), ranges in steps.items()]
    return spans, len(said) - len(spans)


def _all(timed: Timed) -> Iterator[Span]:
    return (span for part in timed.parts for section in part.sections for span in section if span.text)


def _near(name: str, known: Collection[str]) -> list[str]:
    by_lower = {other.lower(): other for other in known}
    return [printable(by_lower[lower]) for lower in get_close_matches(name.lower()[:200], by_lower, 3, 0.6)]


def _network(network: ExtraNetwork, loras: Collection[str]) -> dict[str, Any]:
    known = network.kind == "lora" and network.name in loras
    near = [] if known or network.kind != "lora" else _near(network.name, loras)
    kept = ("kind", "weight", "text_weight", "start", "end")
    return {"name": printable(network.name)} | {name: getattr(network, name) for name in kept} | {"known": known, "near": near}


def _networks_amiss(networks: Collection[ExtraNetwork], loras: Collection[str]) -> Iterator[Notice]:
    for network in networks:
        if network.kind != "lora":
            kind = "Hypernetworks are" if network.kind == "hypernet" else f"Networks of the kind {network.kind[:40]!r} are"
            yield Notice(f"{kind} not supported; {network.name[:80]!r} is left out.", network.start, network.end)
        elif network.name not in loras:
            near = _near(network.name, loras)
            like = f"; like it: {', '.join(near)}" if near else ""
            yield Notice(f"There is no LoRA named {network.name[:80]!r}{like}.", network.start, network.end)
        if network.notice:
            yield Notice(network.notice, network.start, network.end)


def _dynamic(text: str, wildcards: Wildcards | None) -> tuple[bool, list[Choice], list[Notice]]:
    """Whether anything is to be chosen, what that is, and what is amiss with it."""
    try:
        chosen = list(choices(text, wildcards))
    except InvalidRequest as error:
        return True, [], [Notice(str(error), 0, len(text))]
    notices = []
    for choice in chosen if wildcards is not None else ():
        if choice.name and not choice.options and len(notices) < _MATTERS:
            try:
                wildcards.values(choice.name)
            except StudioError as error:
                notices.append(Notice(str(error), choice.start, choice.end))
    return bool(chosen), chosen, notices


def _settled(text: str, chosen: Iterable[Choice]) -> str:
    """The text with a word as long in the place of each choice, so that what stands around it is read as it will be."""
    pieces, position = [], 0
    for choice in chosen:
        if choice.depth == 0:
            pieces += [text[position : choice.start], "x" * (choice.end - choice.start)]
            position = choice.end
    return "".join([*pieces, text[position:]])


def _amiss(text: Traced, read: tuple[Timed, ...], syntax: Syntax, compose: bool, dynamic: bool) -> Iterator[Notice]:
    if syntax == "compel":
        yield from compel_syntax.read(text).notices
        return
    parts = composed(text) if compose else ((text, 1.0),)
    if len(parts) == 1 and parts[0][1] != 1:
        start = text.source(len(parts[0][0].text)) if parts[0][0].text else 0
        sentence = f"The number at the end is the weight of the whole prompt, {parts[0][1]:g}; a comma behind it prevents that."
        yield Notice(sentence, start, text.source(len(text.text) - 1) + 1)
    if not dynamic and any("[" in part.text and not Edited(part, Timeline(1)).understood for part, _ in parts):
        sentence = "No [from:to:when] is read here: a | must stand between [ and ], and a backslash before what it escapes."
        yield Notice(sentence, 0, text.source(len(text.text) - 1) + 1)
    broken = {match.start(): (span, match) for span in _all(read[0]) for match in _BREAK.finditer(span.text)}
    for span, match in broken.values():
        start, end = span.source(match.start()), span.source(match.end() - 1) + 1
        yield Notice(f"BREAK inside brackets is a word of weight {span.weight:g}; outside of them it begins a new chunk.", start, end)


def _unbalanced(text: Traced, syntax: Syntax) -> list[dict[str, Any]]:
    opened: dict[str, list[int]] = {"(": [], "[": []}
    lonely = []
    for match in _BRACKET.finditer(text.text):
        sign = match.group()
        if len(sign) > 1 or (syntax == "compel" and sign in "[]"):
            continue
        if sign in opened:
            opened[sign].append(match.start())
        elif opened[_CLOSES[sign]]:
            opened[_CLOSES[sign]].pop()
        else:
            lonely.append(match.start())
    lonely = sorted([*lonely, *opened["("], *opened["["]])
    return [{"position": text.source(index), "character": text.text[index]} for index in lonely]
