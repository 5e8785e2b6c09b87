"""Prompts brought into the model's terms: what the denoiser is told, step by step."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import torch

from .components import Components, Conditioning
from .denoise import Told
from .plan import EncodePrompt
from .prompts.grammar import schedule
from .prompts.tree import Part

Texts = Sequence[tuple[Part, ...]]
"""Prompts that hold at the same time; each has a part for every text that was given (one for each text encoder, or fewer)."""


class PromptCache:
    """Encoded prompts by exact key, least recently used out first: the same words are encoded once, however often a
    prompt changes on the way."""

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._kept: OrderedDict[tuple, Conditioning] = OrderedDict()

    def told(self, stage: EncodePrompt, components: Components, modifiers: str) -> tuple[Told, ...]:
        """What the denoiser is told, step by step; `modifiers` is the key of what is patched into the text encoders meanwhile."""
        wanted = _timeline(stage.prompts, stage, compose=True)
        # one prompt at full weight needs no negative to be weighed against
        plain = all(len(parts) == 1 and parts[0][0].weight == 1 for _, parts in wanted)
        unwanted = _timeline(stage.negative_prompts, stage, compose=False) if stage.guided or not plain else ()
        told = []
        for until in sorted({until for until, _ in (*wanted, *unwanted)}):
            positives = _at(wanted, until)
            rows = [self._blended(texts, stage, components, modifiers) for texts in _grouped(positives)]
            weights = tuple(texts[0][0].weight if texts[0][0].kind == "and" else 1.0 for texts in _grouped(positives))
            if unwanted:
                rows.insert(0, self._blended(_at(unwanted, until), stage, components, modifiers, negative=True))
            aligned = components.family.align(rows)
            told.append(Told(until, {name: torch.cat([row[name] for row in aligned]) for name in aligned[0]}, weights))
        return tuple(told)

    def _blended(self, texts: Texts, stage: EncodePrompt, components: Components, modifiers: str, negative: bool = False) -> Conditioning:
        """One conditioning from one prompt, or the weighted sum of several."""
        encoded = [self._encoded(parts, stage, components, modifiers, negative) for parts in texts]
        if len(encoded) == 1:
            return encoded[0]
        aligned = components.family.align(encoded)
        return {name: _summed([row[name] for row in aligned], [parts[0].weight for parts in texts]) for name in aligned[0]}

    def _encoded(
        self, parts: tuple[Part, ...], stage: EncodePrompt, components: Components, modifiers: str, negative: bool
    ) -> Conditioning:
        encoders = tuple((name, components.fingerprints.get(name)) for name in components.tokenizers)
        told = replace(stage, prompts=(), negative_prompts=(), steps=0, steps_before=None, guided=False)
        texts = tuple((part.sections, part.section_weights) for part in parts)
        words = () if components.embeddings is None else components.embeddings.version()
        key = (components.checkpoint, encoders, words, modifiers, texts, told, negative)
        if key not in self._kept:
            family = components.family
            self._kept[key] = (family.encode_negative if negative else family.encode)(components, parts, stage)
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return self._kept[key]


def _summed(rows: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """What all of them say alike, such as a size, stays as it is."""
    if all(torch.equal(row, rows[0]) for row in rows):
        return rows[0]
    return torch.stack([weight * row for weight, row in zip(weights, rows, strict=True)]).sum(dim=0)


def _timeline(texts: tuple[str, ...], stage: EncodePrompt, compose: bool) -> tuple[tuple[int, Texts], ...]:
    """(until which step, what holds): the schedules of all texts laid over each other; `compose` reads AND."""
    more = {"compose": compose, "emphasis": stage.emphasis, "steps_before": stage.steps_before}
    schedules = [schedule(text, stage.steps, stage.syntax, **more) for text in texts]
    ends = sorted({timed.until for one in schedules for timed in one})
    found = []
    for end in ends:
        at = [next(timed for timed in one if end <= timed.until) for one in schedules]
        count = len(at[0].parts)
        # a second text of fewer parts goes with each part of the first
        parts = tuple(tuple(timed.parts[min(index, len(timed.parts) - 1)] for timed in at) for index in range(count))
        found.append((end, parts))
    return tuple(found)


def _at(timeline: tuple[tuple[int, Texts], ...], until: int) -> Texts:
    return next(texts for end, texts in timeline if until <= end)


def _grouped(texts: Texts) -> list[Texts]:
    """Parts that are blended make one positive; each other part is one of its own."""
    blended = [parts for parts in texts if parts[0].kind == "blend"]
    others: list[Texts] = [[parts] for parts in texts if parts[0].kind != "blend"]
    return [*others, blended] if blended else others
