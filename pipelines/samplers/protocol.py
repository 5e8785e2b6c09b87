"""What samplers and their driver say to each other: frozen questions and reports, exchanged by `send`.

A sampler is a coroutine. It yields `Denoise` (or, from the diffusers adapter, `Model`) and is sent a tensor of the same
shape; it yields `Stepped` after each finished step and is sent None to go on, or a tensor that takes the place of its
latents (inpainting with diffusers' semantics pastes the known part back there). It returns the final latents.
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Denoise:
    """Asks for the clean estimate of `x` (1, c, h, w), which is clean latents plus noise of deviation `sigma`.

    Where `unguided`, for two estimates (2, c, h, w): the guided one, and the one without guidance (the same if there is none).
    """

    x: Tensor
    sigma: float
    unguided: bool = False


@dataclass(frozen=True)
class Model:
    """Asks for the guided output of the denoiser for `latents`, already scaled as the model wants them, at `timestep` (0-d).

    Where `unguided`, with the output for the negative prompt behind it. `clean` gives the clean estimate (1, c, h, w) of an output,
    in the model's latents; it is for this question only.
    """

    latents: Tensor
    timestep: Tensor
    unguided: bool = False
    clean: Callable[[Tensor], Tensor] = lambda output: output


@dataclass(frozen=True)
class Stepped:
    """Step `index` (from 1) of `total` is done: `denoised` is its clean estimate, `latents` what the next step starts from.

    Our own samplers count steps of the schedule, however many estimates a step takes; those that choose their own steps
    (DPM fast, DPM adaptive) tell the share of the way instead, so an index may be skipped or told twice. The adapter counts
    calls of the scheduler, as diffusers' progress does: 2N-1 for its second-order classes, N+1 for PNDM.
    """

    index: int
    total: int
    denoised: Tensor
    latents: Tensor


@dataclass(frozen=True)
class Settings:
    """What a sampler may be told; each takes what it knows (`names.SchedulerSpec.settings` says which).

    `eta` in [0, 1] is the share of fresh noise: 0 is the ODE, 1 the ancestral step or the reverse SDE. `s_churn` >= 0 stirs
    noise in before a step whose sigma lies in [`s_tmin`, `s_tmax`] (Karras et al. 2022, algorithm 2); `s_noise` is the
    deviation of fresh noise. `flow` says that x = (1 - sigma)·x0 + sigma·noise instead of x0 + sigma·noise.
    """

    eta: float = 1.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = math.inf
    s_noise: float = 1.0
    flow: bool = False


PLAIN = Settings()

Noise = Callable[[float, float], Tensor]
"""Unit normal noise (1, c, h, w) for the way from one sigma to the next; drawn per picture, so a batch changes nothing."""

Sampling = Generator[Denoise | Stepped, Tensor | None, Tensor]
Adapted = Generator[Model | Stepped, Tensor | None, Tensor]
Sampler = Callable[[Tensor, Sequence[float], Noise, Settings], Sampling]
"""`sampler(x, sigmas, noise, settings)`: x float32 at the level sigmas[0]; sigmas strictly falling, the last 0.0 unless the
pass stops early. Runs to sigmas[-1]."""


def finish_step(index: int, total: int, denoised: Tensor, x: Tensor) -> Generator[Stepped, Tensor | None, Tensor]:
    """Reports the step; returns the latents to go on with."""
    changed = yield Stepped(index, total, denoised, x)
    return x if changed is None else changed


def answered(reply: Tensor | None) -> Tensor:
    """The tensor that a question was answered with."""
    if not isinstance(reply, torch.Tensor):
        raise TypeError("a sampler that asks for an estimate must be sent a tensor")
    return reply
