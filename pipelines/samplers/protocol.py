"""What samplers and their driver say to each other: frozen questions and reports, exchanged by `send`.

A sampler is a coroutine. It yields `Denoise` (or, from the diffusers adapter, `Model`) and is sent a tensor of the same
shape; it yields `Stepped` after each finished step and is sent None to go on, or a tensor that takes the place of its
latents (inpainting with diffusers' semantics pastes the known part back there). It returns the final latents.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Denoise:
    """Asks for the clean estimate of `x` (1, c, h, w), which is clean latents plus noise of deviation `sigma`."""

    x: Tensor
    sigma: float


@dataclass(frozen=True)
class Model:
    """Asks for the guided output of the denoiser for `latents`, already scaled as the model wants them, at `timestep` (0-d)."""

    latents: Tensor
    timestep: Tensor


@dataclass(frozen=True)
class Stepped:
    """Step `index` (from 1) of `total` is done: `denoised` is its clean estimate, `latents` what the next step starts from.

    Our own samplers count steps of the schedule, however many estimates a step takes. The adapter counts calls of the
    scheduler, as diffusers' progress does: 2N-1 for its second-order classes, N+1 for PNDM.
    """

    index: int
    total: int
    denoised: Tensor
    latents: Tensor


Noise = Callable[[float, float], Tensor]
"""Unit normal noise (1, c, h, w) for the way from one sigma to the next; drawn per picture, so a batch changes nothing."""

Sampling = Generator[Denoise | Stepped, Tensor | None, Tensor]
Adapted = Generator[Model | Stepped, Tensor | None, Tensor]
Sampler = Callable[[Tensor, Sequence[float], Noise], Sampling]
"""`sampler(x, sigmas, noise)`: x float32 at deviation sigmas[0]; sigmas strictly falling and ending in 0.0."""


def finish_step(index: int, total: int, denoised: Tensor, x: Tensor) -> Generator[Stepped, Tensor | None, Tensor]:
    """Reports the step; returns the latents to go on with."""
    changed = yield Stepped(index, total, denoised, x)
    return x if changed is None else changed


def answered(reply: Tensor | None) -> Tensor:
    """The tensor that a question was answered with."""
    if not isinstance(reply, torch.Tensor):
        raise TypeError("a sampler that asks for an estimate must be sent a tensor")
    return reply
