"""Noise for one picture, drawn on the CPU from its own seed: the same on every device and in every batch."""

import math
from collections.abc import Sequence

import torch
import torchsde
from torch import Tensor

from .protocol import Noise

BROWNIAN = frozenset({"dpmpp_sde", "dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde"})
"""Samplers that follow one Brownian path, so that more steps refine the same picture (k-diffusion's and A1111's choice)."""

TREE_DIGITS = 6
"""torchsde rounds the ends of a tree to this many digits, and warns about questions beyond them."""


def make_noise(sampler: str, x: Tensor, sigmas: Sequence[float], generator: torch.Generator) -> Noise:
    """The noise that `sampler` (a key of `SAMPLERS`) expects, shaped and placed like `x` (1, c, h, w).

    `generator` is the picture's CPU generator. Independent noise continues its stream; a Brownian path is grown from
    its initial seed and leaves the stream alone.
    """
    if sampler in BROWNIAN:
        return brownian(x, sigmas, generator.initial_seed())
    return independent(x, generator)


def independent(x: Tensor, generator: torch.Generator) -> Noise:
    def noise(sigma: float, next_sigma: float) -> Tensor:
        return torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)

    return noise


def brownian(x: Tensor, sigmas: Sequence[float], seed: int) -> Noise:
    """Increments of one Brownian path over sigma, each scaled to unit variance (k-diffusion's BrownianTreeNoiseSampler)."""
    positive = [_single(sigma) for sigma in sigmas if sigma > 0]
    low, high = min(positive), max(positive)
    if low == high:  # a single step asks for no noise, and a path needs two ends
        low = high / 2
    tree = torchsde.BrownianTree(low, torch.zeros(x.shape, dtype=x.dtype), high, entropy=seed)
    ends = round(low, TREE_DIGITS), round(high, TREE_DIGITS)

    def noise(sigma: float, next_sigma: float) -> Tensor:
        upper, lower = _single(sigma), _single(next_sigma)
        path = tree(max(lower, ends[0]), min(upper, ends[1]))
        return (-path / math.sqrt(upper - lower)).to(x.device)  # k-diffusion turns the sign on the way down

    return noise


def _single(sigma: float) -> float:
    """Rounded to single precision, as other studios keep their sigmas: a path's grid depends on the last digit of its ends."""
    return float(torch.tensor(sigma, dtype=torch.float32))
