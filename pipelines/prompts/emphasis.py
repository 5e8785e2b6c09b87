"""Chunks of tokens made embeddings by a CLIP text encoder, with the weights of their words."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from ..errors import InvalidRequest, UnknownName
from .clip_tokenizer import Marks
from .tokens import Chunk, empty
from .tree import Emphasis, Syntax

_MASKED = 100
"""How many spans compel's rule may mask: each takes one more pass through the encoder."""


@dataclass(frozen=True)
class Encoded:
    """`states` (1, length × chunks, d); `pooled` (1, p), what the encoder says of the first chunk as a whole, or None."""

    states: Tensor
    pooled: Tensor | None


@dataclass(frozen=True)
class TextEncoder:
    """A CLIP text model (with or without a projection) and the layer that is read.

    `normed` reads the last layer, or the one `clip_skip` before it, through the final norm, as Stable Diffusion 1 and 2
    do; otherwise the layer before that is read as it is, as SDXL and Stable Diffusion 3 do (both: diffusers' clip_skip,
    one less than A1111's). `vectors` are (n, width) by name of a textual inversion. `marks` frame the empty text that
    compel's rule weighs against.
    """

    module: torch.nn.Module
    marks: Marks
    device: torch.device
    dtype: torch.dtype
    clip_skip: int = 0
    normed: bool = True
    vectors: Mapping[str, Tensor] | None = None

    def encode(self, chunks: Sequence[Chunk], emphasis: Emphasis = "original", syntax: Syntax = "a1111") -> Encoded:
        """The chunks one at a time, so that none depends on its company, laid end to end in `dtype`.

        Where all weights are 1 the embeddings are the encoder's own to the last bit. Weights otherwise work by A1111's
        rule (`original`: each token's embedding times its weight, then the whole chunk times what restores its mean;
        `no_norm`: without that; computed in float32) or by compel's. A1111 takes the mean over the same chunk of all
        texts of a prompt that changes on the way; here it is over the chunk alone.
        """
        self._check()
        with torch.no_grad():
            first = self._output(chunks[0])
            states = [self._states(first), *(self._states(self._output(chunk)) for chunk in chunks[1:])]
            if emphasis in ("original", "no_norm") and any(weight != 1 for chunk in chunks for weight in chunk.weights):
                weigh = self._as_compel if syntax == "compel" else _as_a1111
                states = weigh(chunks, states, emphasis)
            states = self._sections_weighed(chunks, states)
        pooled = getattr(first, "text_embeds", None)
        pooled = getattr(first, "pooler_output", None) if pooled is None else pooled
        return Encoded(torch.cat(states, dim=1).to(self.dtype), None if pooled is None else pooled.to(self.dtype))

    def _check(self) -> None:
        most = int(self.module.config.num_hidden_layers) - (1 if self.normed else 2)
        if self.clip_skip > most:
            raise InvalidRequest(f"clip_skip must be at most {most} for this text encoder; got {self.clip_skip}.", "clip_skip")

    def _output(self, chunk: Chunk, hidden: tuple[int, int] | None = None) -> Any:
        """The encoder's answer; it does not look at the positions from `hidden[0]` up to `hidden[1]`."""
        ids = torch.tensor([chunk.ids], device=self.device)
        mask = None
        if getattr(self.module.config, "use_attention_mask", False):
            mask = (torch.arange(len(chunk.ids), device=self.device) < chunk.used + 2).long()[None]
        if hidden:
            mask = torch.ones_like(ids) if mask is None else mask
            mask[:, hidden[0] : hidden[1]] = 0
        more = {} if self.clip_skip == 0 and self.normed else {"output_hidden_states": True}
        with self._embeddings_in_place(chunk):
            return self.module(ids, attention_mask=mask, **more)

    def _states(self, output: Any) -> Tensor:
        if not self.normed:
            return output.hidden_states[-(self.clip_skip + 2)]
        if self.clip_skip == 0:
            return output.last_hidden_state
        return getattr(self.module, "text_model", self.module).final_layer_norm(output.hidden_states[-(self.clip_skip + 1)])

    @contextmanager
    def _embeddings_in_place(self, chunk: Chunk) -> Iterator[None]:
        """While inside, the token embedding gives the vectors of the chunk's textual inversions in their places."""
        found = [(position, count, self._vectors(name)) for position, name, count in chunk.embeddings]

        def put(_module: torch.nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            output = output.clone()
            for position, count, vectors in found:
                output[:, position : position + count] = vectors[:count].to(output)
            return output

        handle = self.module.get_input_embeddings().register_forward_hook(put) if found else None
        try:
            yield
        finally:
            if handle is not None:
                handle.remove()

    def _vectors(self, name: str) -> Tensor:
        vectors = (self.vectors or {}).get(name)
        if vectors is None:
            raise UnknownName("embedding", name, self.vectors or ())
        width = int(self.module.config.hidden_size)
        if vectors.ndim != 2 or vectors.shape[1] != width:
            raise InvalidRequest(
                f"The embedding {name!r} must have vectors of {width} numbers for this text encoder; its shape is {tuple(vectors.shape)}.",
                "prompt",
            )
        return vectors

    def _as_compel(self, chunks: Sequence[Chunk], states: Sequence[Tensor], _emphasis: Emphasis) -> list[Tensor]:
        """compel's rule. A token of weight w is moved to empty + w × (own − empty), where empty is what the empty text has in
        that place. Then each span of w < 1 is blended with what the section is where nothing looks at that span: with weight
        tan((1 − w) π/2), the whole divided by 1 plus the sum of those."""
        blank = self._states(self._output(empty(self.marks, len(chunks[0].ids))))
        weighed = [_moved(blank, own, chunk.weights) for chunk, own in zip(chunks, states, strict=True)]
        result = []
        for _, numbers in groupby(range(len(chunks)), key=lambda number: chunks[number].section):
            section = list(numbers)
            result += self._masked([chunks[number] for number in section], [weighed[number] for number in section], blank)
        return result

    def _masked(self, chunks: list[Chunk], weighed: list[Tensor], blank: Tensor) -> list[Tensor]:
        length = len(chunks[0].ids)
        spans = _lowered(chunks)
        if len(spans) > _MASKED:
            raise InvalidRequest(f"At most {_MASKED} places may have a weight below 1 in compel's syntax; got {len(spans)}.", "prompt")
        summed, total = [state.clone() for state in weighed], 1.0
        for first, last, weight in spans:
            share = math.tan((1.0 - max(1e-5, weight)) * math.pi / 2)
            total += share
            for number, chunk in enumerate(chunks):
                # A chunk's first and last place are always looked at; one that has nothing of the span stays as it is.
                start, stop = max(first - number * length, 1), min(last + 1 - number * length, length - 1)
                state = weighed[number]
                if start < stop:
                    state = _moved(blank, self._states(self._output(chunk, (start, stop))), chunk.weights)
                summed[number] += state * share
        return [state / total for state in summed] if spans else weighed

    def _sections_weighed(self, chunks: Sequence[Chunk], states: list[Tensor]) -> list[Tensor]:
        if all(chunk.section_weight == 1 for chunk in chunks):
            return states
        blank = self._states(self._output(empty(self.marks, len(chunks[0].ids))))
        return [
            state if chunk.section_weight == 1 else blank + (state - blank) * chunk.section_weight
            for chunk, state in zip(chunks, states, strict=True)
        ]


def _as_a1111(chunks: Sequence[Chunk], states: Sequence[Tensor], emphasis: Emphasis) -> list[Tensor]:
    result = []
    for chunk, own in zip(chunks, states, strict=True):
        if all(weight == 1 for weight in chunk.weights):
            result.append(own)
            continue
        weighed = own.float() * _column(chunk.weights, own.device)
        result.append(_mean_restored(own.float(), weighed) if emphasis == "original" else weighed)
    return result


def _mean_restored(own: Tensor, weighed: Tensor) -> Tensor:
    """Where either mean is within the rounding of the sum (a final norm that was never trained has none), their ratio is
    noise, and nothing is restored."""
    before, after = own.mean(), weighed.mean()
    noise = 1e-6 * torch.maximum(own.abs().mean(), weighed.abs().mean())
    return weighed * (before / after) if min(before.abs(), after.abs()) > noise else weighed


def _moved(blank: Tensor, own: Tensor, weights: Sequence[float]) -> Tensor:
    column = _column(weights, own.device)
    return torch.where(column == 1, own.float(), blank.float() + (own.float() - blank.float()) * column)


def _column(weights: Sequence[float], device: torch.device) -> Tensor:
    return torch.tensor(weights, dtype=torch.float32, device=device)[None, :, None]


def _lowered(chunks: Sequence[Chunk]) -> list[tuple[int, int, float]]:
    """(first, last, weight) of the spans of weight below 1, in places counted through all the chunks."""
    found: dict[int, tuple[int, int, float]] = {}
    for number, chunk in enumerate(chunks):
        for index, (span, _) in enumerate(chunk.origins, 1):
            place = number * len(chunk.ids) + index
            if chunk.weights[index] < 1:
                found[span] = (found[span][0] if span in found else place, place, chunk.weights[index])
    return list(found.values())
