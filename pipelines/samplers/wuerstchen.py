"""Noise as Würstchen and Stable Cascade know it: levels along a cosine of continuous time, which their models are told as a share.

Paper: Würstchen (Pernias et al. 2023), https://arxiv.org/abs/2306.00637
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import diffusers
import torch
from diffusers.schedulers.scheduling_ddpm_wuerstchen import DDPMWuerstchenSchedulerOutput
from torch import Tensor

from .model import ModelSigmas

LEAST, MOST = 0.0001, 0.9999
"""Of signal: where the cosine is cut off at both ends, as diffusers and ComfyUI cut it."""
LEVELS = 1000


@dataclass(frozen=True)
class CosineSigmas(ModelSigmas):
    """Levels at even times from the least to the most noise. The model is told the time itself, from 0 (clean) to 1.

    `offset` keeps the cosine from beginning flat, `scaler` bends time (diffusers' `s` and `scaler`).
    """

    kind: ClassVar[str] = "cosine"

    offset: float = 0.008
    scaler: float = 1.0

    @classmethod
    def from_config(cls, scheduler_config: Mapping[str, Any], family: str = "") -> "CosineSigmas":
        """From the configuration of a DDPMWuerstchenScheduler."""
        offset, scaler = float(scheduler_config.get("s", 0.008)), float(scheduler_config.get("scaler", 1.0))
        bare = cls((), "epsilon", family, None, offset, scaler)
        low, high = (bare.timestep(_sigma(signal)) for signal in (MOST, LEAST))
        sigmas = tuple(bare.sigma(low + (high - low) * index / (LEVELS - 1)) for index in range(LEVELS))
        return cls((_sigma(MOST), *sigmas[1:-1], _sigma(LEAST)), "epsilon", family, None, offset, scaler)

    @property
    def _begin(self) -> float:
        """Signal of the cosine at time 0, by which it is divided."""
        return math.cos(self.offset / (1 + self.offset) * math.pi / 2) ** 2

    def timestep(self, sigma: float) -> float:
        """The time, in [0, 1], at which the noise is that strong."""
        angle = math.acos(math.sqrt(min(self._begin / (sigma**2 + 1), 1.0)))
        time = angle / (math.pi / 2) * (1 + self.offset) - self.offset
        time = min(max(time, 0.0), 1.0)
        return 1 - (1 - time) ** (1 / self.scaler) if self.scaler > 1 else time ** (1 / self.scaler)

    def sigma(self, timestep: float) -> float:
        """The inverse of `timestep`, but for the ends, which are cut off."""
        time = 1 - (1 - timestep) ** self.scaler if self.scaler > 1 else timestep**self.scaler
        signal = math.cos((time + self.offset) / (1 + self.offset) * math.pi / 2) ** 2 / self._begin
        return _sigma(min(max(signal, LEAST), MOST))

    def at(self, position: float) -> float:
        return self.sigma(position)

    def position(self, sigma: float) -> float:
        return self.timestep(sigma)


def _sigma(signal: float) -> float:
    return math.sqrt((1 - signal) / signal)


@dataclass
class Stepped(DDPMWuerstchenSchedulerOutput):
    pred_original_sample: Tensor


class DDPMWuerstchenScheduler(diffusers.DDPMWuerstchenScheduler):
    """diffusers' class as its other schedulers are: `timesteps` are those to step from, one at a time, and a step tells the clean
    estimate too. Its arithmetic is untouched."""

    order = 1

    def set_timesteps(self, num_inference_steps: int, device: str | torch.device | None = None) -> None:
        super().set_timesteps(num_inference_steps, device=device)
        self._ends, self.timesteps = self.timesteps[1:], self.timesteps[:-1]

    def previous_timestep(self, timestep: Tensor) -> Tensor:
        """The time (1,) at which the step from `timestep` (1,) ends."""
        return self._ends[(self.timesteps - timestep).abs().argmin()][None]

    def step(self, model_output: Tensor, timestep: Tensor, sample: Tensor, generator: torch.Generator | None = None) -> Stepped:
        """One step of one picture, `sample` (1, c, h, w), from the time `timestep`, a scalar."""
        stepped = super().step(model_output, timestep[None], sample, generator)
        signal = self._alpha_cumprod(timestep, sample.device)
        return Stepped(stepped.prev_sample, (sample - (1 - signal).sqrt() * model_output) / signal.sqrt())
