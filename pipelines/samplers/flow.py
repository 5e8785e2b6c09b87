"""Flow matching: x = (1 - s)·x0 + s·noise, and the model tells noise - x0 (Lipman et al. 2022, arXiv 2210.02747).

Solvers of dx/ds = (x - x0) / s run over s itself. Those whose coefficients come from the signal-to-noise ratio run in `ratios`:
x / (1 - s) is clean latents plus noise of deviation s / (1 - s), the sigma space they are written for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ClassVar

from torch import Tensor

from pipelines.errors import CheckpointError
from pipelines.names import Kind

from .protocol import PLAIN, Denoise, Noise, Sampler, Sampling, Settings

MOST_NOISE = 1 - 1e-4
"""Stands for s = 1, whose ratio would be infinite."""

PATCH = 2
"""Latents along one side of the patches that today's flow transformers see."""

FLOW_SHIFT_KEYS = ("flow_shift", "shift")


def kind_of(scheduler_config: Mapping[str, Any]) -> Kind:
    """What a checkpoint with this scheduler configuration was trained for."""
    get = scheduler_config.get
    if get("_class_name") == "DDPMWuerstchenScheduler":
        return "cosine"
    flow = str(get("_class_name", "")).startswith("FlowMatch") or get("use_flow_sigmas") or get("prediction_type") == "flow_prediction"
    return "flow" if flow else "diffusion"


@dataclass(frozen=True)
class FlowSigmas:
    """The levels of a flow model: even times k / N for k = 1..N, shifted towards noise by `shift`.

    `automatic` is the schedule that diffusers' pipelines take for such a checkpoint; `terminal` is where theirs ends before 0
    (None: where it may). The interface is `ModelSigmas`'.
    """

    kind: ClassVar[str] = "flow"
    prediction_type: ClassVar[str] = "flow"

    shift: float = 1.0
    trained_steps: int = 1000
    automatic: str | None = "normal"
    terminal: float | None = None
    family: str = ""

    @classmethod
    def from_config(cls, scheduler_config: Mapping[str, Any], family: str = "", image_seq_len: int = 4096) -> "FlowSigmas":
        """From the configuration of a FlowMatch scheduler, or of another one with `use_flow_sigmas`.

        With dynamic shifting (Flux) the shift grows with `image_seq_len`, the number of patches the transformer sees. Raises
        `CheckpointError` for settings that mean another direction of time.
        """
        get = scheduler_config.get
        if get("invert_sigmas"):
            raise CheckpointError("The checkpoint's scheduler settings cannot be used: invert_sigmas.")
        shift = next((float(get(key)) for key in FLOW_SHIFT_KEYS if get(key) is not None), 1.0)
        if get("use_dynamic_shifting"):
            shift = _dynamic_shift(scheduler_config, image_seq_len)
        if not (math.isfinite(shift) and shift > 0):
            raise CheckpointError(f"The checkpoint's scheduler settings cannot be used: shift {shift}.")
        automatic = "sgm_uniform" if get("use_dynamic_shifting") or get("use_flow_sigmas") else "normal"
        return cls(shift, int(get("num_train_timesteps", 1000)), automatic, get("shift_terminal"), family)

    @property
    def sigmas(self) -> tuple[float, ...]:
        return tuple(self.at(step / self.trained_steps) for step in range(1, self.trained_steps + 1))

    @property
    def sigma_min(self) -> float:
        return self.at(1 / self.trained_steps)

    @property
    def sigma_max(self) -> float:
        return 1.0

    def at(self, position: float) -> float:
        """The level at a time in [0, 1], shifted."""
        return self.shift * position / (1 + (self.shift - 1) * position)

    def position(self, sigma: float) -> float:
        """Where a schedule that ends at the level `sigma` begins or ends, before the shift: at the level's own number.

        diffusers and ComfyUI shift the smallest level twice that way, and so its schedules are what they are.
        """
        return sigma

    def timestep(self, sigma: float) -> float:
        """What the model is told: N·s."""
        return self.trained_steps * sigma

    def model_input(self, x: Tensor, sigma: float) -> Tensor:
        return x

    def denoised(self, output: Tensor, x: Tensor, sigma: float) -> Tensor:
        """The clean estimate from the model's output for x (b, c, h, w) at the level `sigma`."""
        return x - sigma * output

    def noised(self, latents: Tensor | None, noise: Tensor, sigma: float) -> Tensor:
        """Clean latents (none: of an empty picture) at the level `sigma`."""
        return noise * sigma if latents is None else latents * (1 - sigma) + noise * sigma

    def stretched(self, levels: list[float]) -> list[float]:
        """So that the last of them is `terminal`, as diffusers stretches."""
        if not self.terminal or levels[-1] >= 1:
            return levels
        factor = (1 - levels[-1]) / (1 - self.terminal)
        return [1 - (1 - level) / factor for level in levels]


def _dynamic_shift(config: Mapping[str, Any], image_seq_len: int) -> float:
    """Flux's: mu is linear in the number of patches (diffusers' `calculate_shift`)."""
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    least, most = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    mu = least + (most - least) * (image_seq_len - low) / (high - low)
    return mu if config.get("time_shift_type", "exponential") == "linear" else math.exp(mu)


def in_ratios(sampler: Sampler) -> Sampler:
    """The sampler for flow models, run in the space of ratios; asks, reports and returns in the models' own."""

    @wraps(sampler)
    def sampling(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
        levels = [min(sigmas[0], MOST_NOISE), *sigmas[1:]]
        if levels[0] <= levels[1]:  # a shift so strong that even the second level is nearly all noise
            levels[0] = (1 + levels[1]) / 2
        ratios = [level / (1 - level) for level in levels]

        def along(sigma: float, next_sigma: float) -> Tensor:
            return noise(_level(sigma), _level(next_sigma))

        return _translated(sampler(x / (1 - levels[0]), ratios, along, replace(settings, flow=False)), levels)

    return sampling


def _level(ratio: float) -> float:
    return ratio / (1 + ratio)


def _translated(running: Sampling, levels: Sequence[float]) -> Sampling:
    """A sampler's questions and reports with latents of the flow model; it takes one step for each pair of `levels`."""
    reply: Tensor | None = None
    while True:
        try:
            said = running.send(reply)
        except StopIteration as end:
            return end.value * (1 - levels[-1])
        if isinstance(said, Denoise):
            level = _level(said.sigma)
            reply = yield replace(said, x=said.x * (1 - level), sigma=level)
        else:
            keep = 1 - levels[said.index]
            changed = yield replace(said, latents=said.latents * keep)
            reply = None if changed is None else changed / keep
