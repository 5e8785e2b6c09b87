"""Reference attention: while a picture is painted, its self-attention also looks at another one, noised alike.

By Lvmin Zhang (https://github.com/Mikubill/sd-webui-controlnet/discussions/1236); here as in diffusers' community pipeline
`stable_diffusion_reference`, with noise that stays the same from step to step.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor

from ..components import Components
from ..denoise import Predict, Row
from ..modifiers import Prediction
from .maps import Maps
from .noising import Levels, fixed_noise
from .preprocessors import parameters
from .units import ControlUnit

_FIDELITY = {"prompt": 0.0, "control": 1.0}  # else the unit's own


@dataclass(eq=False)
class _Eye:
    """Stands in for the processor of one self-attention. `reach` is the weight from which a unit takes part here.

    First it notes what a reference looks like here, unit by unit; then `rows` are set, and it looks at what was noted.
    """

    own: Any
    reach: float
    units: Sequence[ControlUnit]
    noted: list[Tensor] = field(default_factory=list)
    rows: tuple[Row, ...] | None = None

    def __call__(
        self, attention: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        plain = self.own(attention, hidden_states, encoder_hidden_states, *args, **kwargs)
        if self.rows is None:
            self.noted.append(hidden_states)
            return plain
        output = plain
        for active, places in self._groups().items():
            chosen = torch.tensor(places, device=hidden_states.device)
            own = hidden_states[chosen]
            context = torch.cat([own, *(self.noted[unit][chosen] for unit in active)], dim=1)
            seen = self.own(attention, own, context, *args, **kwargs)
            share = torch.tensor([self._share(active, self.rows[place]) for place in places]).to(seen).reshape(-1, 1, 1)
            output = output.index_copy(0, chosen, share * seen + (1 - share) * plain[chosen])
        return output

    def _groups(self) -> dict[tuple[int, ...], list[int]]:
        """Rows that look at the same units, by those."""
        assert self.rows is not None
        groups: dict[tuple[int, ...], list[int]] = {}
        for place, row in enumerate(self.rows):
            active = tuple(
                index
                for index, unit in enumerate(self.units)
                if unit.keeps(row.step, row.steps) and unit.controlnet_conditioning_scale > self.reach
            )
            if active:
                groups.setdefault(active, []).append(place)
        return groups

    def _share(self, active: Sequence[int], row: Row) -> float:
        """How much of what is seen counts: all of it for what is wanted, less for the negative the more the style is kept to."""
        return 1.0 if row.positive else 1.0 - max(fidelity(self.units[index]) for index in active)


def fidelity(unit: ControlUnit) -> float:
    """0: the negative looks at the picture too; 1: it does not, and guidance then draws towards the picture most."""
    return _FIDELITY.get(unit.control_mode, parameters(unit.preprocessor, unit.parameters)["style_fidelity"])


class Referring:
    """Puts references around predictions: one pass of the denoiser more for each of them, in the steps in which it is at work."""

    def __init__(self, units: Sequence[ControlUnit], maps: Maps, components: Components) -> None:
        self._units = units
        self._maps = maps
        self._levels = Levels(components, "Reference")

    def around(self, plain: Prediction, steered: Prediction) -> Prediction:
        """`plain` notes the references; `steered` is the prediction that looks at them."""

        def referring(asked: Predict, components: Components) -> Tensor:
            if not any(unit.keeps(row.step, row.steps) for unit in self._units for row in asked.rows):
                return steered(asked, components)
            with _eyes(components.denoiser, self._units) as eyes:
                for unit in self._units:
                    latents = self._maps.latents(unit, asked.latents, [replace(asked.rows[0], part=None)])  # all of it, also for a part
                    noised = self._levels.noised(latents, fixed_noise(unit.image, latents), asked)
                    plain(replace(asked, latents=noised), components)
                for eye in eyes:
                    eye.rows = asked.rows
                return steered(asked, components)

        return referring


@contextmanager
def _eyes(denoiser: torch.nn.Module, units: Sequence[ControlUnit]) -> Iterator[list[_Eye]]:
    """An eye in every self-attention, the deepest first; on leaving, also by an exception, the processors are back."""
    blocks = [module for module in denoiser.modules() if isinstance(module, BasicTransformerBlock)]
    blocks.sort(key=lambda block: -block.norm1.normalized_shape[0])
    attentions = [block.attn1 for block in blocks]
    before = [attention.processor for attention in attentions]
    eyes = [_Eye(own, place / len(before), units) for place, own in enumerate(before)]
    try:
        for attention, eye in zip(attentions, eyes, strict=True):
            attention.processor = eye
        yield eyes
    finally:
        for attention, own in zip(attentions, before, strict=True):
            attention.processor = own
