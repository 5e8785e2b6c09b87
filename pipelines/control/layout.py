"""A coarse picture that is kept to without a ControlNet: the low frequencies of every clean estimate are drawn to its own.

Paper: ILVR (Choi et al. 2021), https://arxiv.org/abs/2108.02938; here within the latents' clean estimates, with a weight.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..components import Components
from ..denoise import Predict
from ..modifiers import Prediction
from .maps import Maps
from .noising import Levels, low_pass
from .preprocessors import parameters
from .residuals import row_weight
from .units import ControlUnit


class LaidOut:
    """Puts units without a ControlNet around predictions. Both rows of guidance are drawn alike, so that it leaves the result there."""

    def __init__(self, units: Sequence[ControlUnit], maps: Maps, components: Components) -> None:
        self._units = units
        self._maps = maps
        self._levels = Levels(components, "Control without a ControlNet")

    def __call__(self, predict: Prediction) -> Prediction:
        def laid_out(asked: Predict, components: Components) -> Tensor:
            output = predict(asked, components)
            for unit in self._units:
                weights = [row_weight(unit.model_copy(update={"control_mode": "balanced"}), row) for row in asked.rows]
                if any(weights):
                    output = self._drawn(unit, output, torch.tensor(weights), asked, components)
            return output

        return laid_out

    def _drawn(self, unit: ControlUnit, output: Tensor, weights: Tensor, asked: Predict, components: Components) -> Tensor:
        wanted = self._maps.latents(unit, asked.latents, asked.rows)
        factor = coarseness(unit, components.vae_scale_factor)
        away = low_pass(wanted - self._levels.denoised(output, asked), factor)
        share = weights.clamp(max=1).to(output).reshape(-1, 1, 1, 1)
        return self._levels.moved(output, share * away, asked)


def coarseness(unit: ControlUnit, scale: int) -> int:
    """How many latents one cell of the layout has along its side, from how coarse the unit's picture was made."""
    settings = parameters(unit.preprocessor, unit.parameters)
    pixels = {"tile": lambda: 4 * settings["factor"], "blur": lambda: 2 * settings["radius"], "colour": lambda: settings["block"]}
    return max(1, round(pixels[unit.preprocessor]() / scale))
