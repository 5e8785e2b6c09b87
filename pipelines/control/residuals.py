"""ControlNets around a UNet: run on the same rows before it, what they give is added to what the UNet passes across.

Paper: Adding Conditional Control to Text-to-Image Diffusion Models (Zhang et al. 2023), https://arxiv.org/abs/2302.05543
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from diffusers import ControlNetModel
from torch import Tensor

from ..components import Components
from ..denoise import Predict, Row
from ..modifiers import Prediction
from .maps import Maps
from .units import ControlUnit

Residuals = tuple[list[Tensor], Tensor]
"""For each connection on the way down, and for the middle; rows first."""


class Controlled:
    """Puts ControlNets, each with its unit, around predictions; several add up, as in diffusers' MultiControlNetModel."""

    def __init__(self, nets: Sequence[tuple[ControlUnit, ControlNetModel]], maps: Maps) -> None:
        self._nets = nets
        self._maps = maps

    def __call__(self, predict: Prediction) -> Prediction:
        def controlled(asked: Predict, components: Components) -> Tensor:
            hook = components.denoiser.register_forward_pre_hook(partial(self._added, asked.rows), with_kwargs=True)
            try:
                return predict(asked, components)
            finally:
                hook.remove()

        return controlled

    def _added(self, rows: tuple[Row, ...], denoiser: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """What the UNet is called with, and the residuals of all ControlNets that are at work in some row."""
        total: Residuals | None = None
        told = {**dict(zip(("sample", "timestep", "encoder_hidden_states"), args, strict=False)), **kwargs}
        for unit, net in self._nets:
            given = _residuals(unit, net, rows, self._maps, told)
            if given is not None:
                total = given if total is None else ([a + b for a, b in zip(total[0], given[0], strict=True)], total[1] + given[1])
        if total is None:
            return args, kwargs
        return args, {**kwargs, "down_block_additional_residuals": total[0], "mid_block_additional_residual": total[1]}


def _residuals(unit: ControlUnit, net: ControlNetModel, rows: Sequence[Row], maps: Maps, told: dict[str, Any]) -> Residuals | None:
    """Of one ControlNet, weighed row by row; None where none is at work. Rows without weight are zeros and are not computed."""
    weights = [row_weight(unit, row, bool(net.config.global_pool_conditions)) for row in rows]
    at_work = [place for place, weight in enumerate(weights) if weight]
    if not at_work:
        return None
    sample: Tensor = told["sample"]
    some = len(at_work) < len(rows)
    chosen = torch.tensor(at_work, device=sample.device)

    def taken(tensor: Tensor) -> Tensor:
        return tensor[chosen] if some else tensor

    down, middle = net(
        taken(sample[:, : net.config.in_channels]),  # inpainting UNets have mask and masked picture behind
        taken(told["timestep"]),
        encoder_hidden_states=taken(told["encoder_hidden_states"]),
        controlnet_cond=maps.pixels(unit, sample, [rows[place] for place in at_work]).to(sample.dtype),
        added_cond_kwargs={name: taken(tensor) for name, tensor in (told.get("added_cond_kwargs") or {}).items()},
        return_dict=False,
    )
    scales = _scales(unit, len(down) + 1, bool(net.config.global_pool_conditions))
    weight = torch.tensor([weights[place] for place in at_work])
    weighed = [_weighed(each, scale * weight) for each, scale in zip((*down, middle), scales, strict=True)]
    if some:
        weighed = [each.new_zeros((len(rows), *each.shape[1:])).index_copy(0, chosen, each) for each in weighed]
    return weighed[:-1], weighed[-1]


def row_weight(unit: ControlUnit, row: Row, pooled: bool = False) -> float:
    """How much a unit weighs in a row: nothing outside its share of the steps, and nothing in what is told the negative where
    the control has the last word or is `pooled`, which tells what is wanted rather than where."""
    if not unit.keeps(row.step, row.steps) or (not row.positive and (pooled or unit.control_mode == "control")):
        return 0.0
    return unit.controlnet_conditioning_scale


def _scales(unit: ControlUnit, count: int, pooled: bool) -> Tensor:
    """For each residual, from the shallowest to the middle: 1, or diffusers' 0.1 to 1 in guess mode."""
    return torch.ones(count) if unit.control_mode == "balanced" or pooled else torch.logspace(-1, 0, count)


def _weighed(residual: Tensor, weights: Tensor) -> Tensor:
    """By one number where one will do, which leaves the memory order as it is."""
    if bool((weights == weights[0]).all()):
        return residual * weights[0].item()
    return residual * weights.to(residual).reshape(-1, *[1] * (residual.ndim - 1))
