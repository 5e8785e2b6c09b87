"""What a checkpoint's training says about noise: its levels, its timesteps, and what its output means."""

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from diffusers import DDPMScheduler
from torch import Tensor

from pipelines.errors import CheckpointError

BETA_FIELDS = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr")
LEVELS = 1000  # that stand for the continuum of a model trained on all levels
LEAST_SIGNAL = 2.0**-24
"""Stands for an alpha_cumprod of zero (zero terminal SNR), whose sigma would be infinite: 4096 then, as diffusers has it."""


@dataclass(frozen=True)
class ModelSigmas:
    """The noise levels a model was trained on, sigmas[t] = sqrt((1 - ᾱ_t) / ᾱ_t), rising with t, and what it predicts.

    `family` is that of the checkpoint, for schedules made for one. `automatic` is the schedule that the checkpoint asks for
    (None: the sampler's own): few-step checkpoints say "trailing" spacing, and were trained at those timesteps.
    """

    kind: ClassVar[str] = "diffusion"

    sigmas: tuple[float, ...]
    prediction_type: str = "epsilon"
    family: str = ""
    automatic: str | None = None

    def __post_init__(self) -> None:
        if self.prediction_type not in ("epsilon", "v_prediction", "sample"):
            raise CheckpointError(f"The checkpoint predicts {self.prediction_type!r}; the samplers know epsilon, v_prediction and sample.")

    @classmethod
    def from_config(cls, scheduler_config: Mapping[str, Any], family: str = "") -> "ModelSigmas":
        """From a diffusers scheduler configuration; the betas are diffusers' own to the last bit.

        Raises `CheckpointError` for settings that diffusers does not know.
        """
        unset = scheduler_config.get("_use_default_values", ())
        betas = {name: scheduler_config[name] for name in BETA_FIELDS if name in scheduler_config and name not in unset}
        try:
            signals = DDPMScheduler(**betas).alphas_cumprod.clone()
        except (NotImplementedError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"The checkpoint's scheduler settings cannot be used: {error}") from None
        signals[signals <= 0] = LEAST_SIGNAL
        sigmas = ((1 - signals) / signals) ** 0.5
        automatic = "simple" if scheduler_config.get("timestep_spacing") == "trailing" else None
        return cls(tuple(sigmas.tolist()), scheduler_config.get("prediction_type", "epsilon"), family, automatic)

    @property
    def sigma_min(self) -> float:
        return self.sigmas[0]

    @property
    def sigma_max(self) -> float:
        return self.sigmas[-1]

    def timestep(self, sigma: float) -> float:
        """The timestep of a noise level, between the trained ones by log-sigma; clamped to the first and the last."""
        if sigma <= self.sigma_min:
            return 0.0
        if sigma >= self.sigma_max:
            return float(len(self.sigmas) - 1)
        above = bisect.bisect_right(self.sigmas, sigma)
        low, high = self.sigmas[above - 1], self.sigmas[above]
        return above - 1 + math.log(sigma / low) / math.log(high / low)

    def sigma(self, timestep: float) -> float:
        """The noise level at a timestep in [0, steps of training - 1]; the inverse of `timestep`."""
        below = min(math.floor(timestep), len(self.sigmas) - 2)
        low, high = self.sigmas[below], self.sigmas[below + 1]
        return low * (high / low) ** (timestep - below)

    def at(self, position: float) -> float:
        """The noise level at a share of the way from the first timestep to the last, in [0, 1]."""
        return self.sigma(position * (len(self.sigmas) - 1))

    def position(self, sigma: float) -> float:
        """The inverse of `at`."""
        return self.timestep(sigma) / (len(self.sigmas) - 1)

    def model_input(self, x: Tensor, sigma: float) -> Tensor:
        """Latents of sigma space scaled to unit variance, as the models were trained."""
        return x / math.sqrt(1 + sigma**2)

    def noised(self, latents: Tensor | None, noise: Tensor, sigma: float) -> Tensor:
        """Clean latents (none: of an empty picture) at the level `sigma`, from unit normal noise; (1, c, h, w)."""
        return noise * sigma if latents is None else latents + noise * sigma

    def denoised(self, output: Tensor, x: Tensor, sigma: float) -> Tensor:
        """The clean estimate from the model's output for `model_input(x, sigma)`; x and the result (b, c, h, w) in sigma space."""
        if self.prediction_type == "epsilon":
            return x - sigma * output
        if self.prediction_type == "v_prediction":
            return x / (1 + sigma**2) - output * (sigma / math.sqrt(1 + sigma**2))
        return output


class ContinuousSigmas(ModelSigmas):
    """Of a model that was trained on noise of any level and is told its logarithm: its timestep is ln(sigma) / 4.

    The `sigmas` are a thousand levels, evenly spaced in the logarithm, for the schedules that choose among trained ones.
    Paper: Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al. 2022), table 1.
    """

    @classmethod
    def from_config(cls, scheduler_config: Mapping[str, Any], family: str = "") -> "ContinuousSigmas":
        """From a diffusers scheduler configuration, which names the ends. Raises `CheckpointError` where it does not."""
        low, high = (scheduler_config.get(name) for name in ("sigma_min", "sigma_max"))
        if not all(isinstance(level, (int, float)) for level in (low, high)) or not 0 < low < high:
            raise CheckpointError("The checkpoint's scheduler settings do not say between which noise levels it was trained.")
        levels = tuple(low * (high / low) ** (index / (LEVELS - 1)) for index in range(LEVELS))
        automatic = "karras" if scheduler_config.get("use_karras_sigmas") else None
        return cls(levels, scheduler_config.get("prediction_type", "epsilon"), family, automatic)

    def timestep(self, sigma: float) -> float:
        return math.log(sigma) / 4

    def sigma(self, timestep: float) -> float:
        return math.exp(4 * timestep)

    def at(self, position: float) -> float:
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** position

    def position(self, sigma: float) -> float:
        return math.log(sigma / self.sigma_min) / math.log(self.sigma_max / self.sigma_min)
