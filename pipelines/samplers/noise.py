"""Noise for one picture, drawn from its own seed: the same in every batch, and on every device unless the device is to draw it."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torchsde
from torch import Tensor
from torchsde._brownian import brownian_interval

from .philox import Numbers, anew, normal
from .protocol import Noise

BROWNIAN = frozenset({"dpmpp_sde", "dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde"})
"""Samplers that follow one Brownian path, so that more steps refine the same picture (k-diffusion's and A1111's choice)."""

TREE_DIGITS = 6
"""torchsde rounds the ends of a tree to this many digits, and warns about questions beyond them."""


def make_noise(sampler: str, x: Tensor, sigmas: Sequence[float], generator: Numbers) -> Noise:
    """The noise that `sampler` (a key of `SAMPLERS`) expects, shaped and placed like `x` (1, c, h, w).

    `generator` is the picture's own. Independent noise continues its stream; a Brownian path is grown from its initial seed
    and leaves the stream alone.
    """
    if sampler in BROWNIAN:
        return brownian(x, sigmas, generator.initial_seed(), generator)
    return independent(x, generator)


def independent(x: Tensor, generator: Numbers) -> Noise:
    def noise(sigma: float, next_sigma: float) -> Tensor:
        return normal(x.shape, generator, x.dtype).to(x.device)

    return noise


def brownian(x: Tensor, sigmas: Sequence[float], seed: int, kind: Numbers | None = None) -> Noise:
    """Increments of one Brownian path over sigma, each scaled to unit variance (k-diffusion's BrownianTreeNoiseSampler).

    `kind` is a generator of the kind that the path is drawn from, as A1111 has it; None is the CPU's.
    """
    positive = [_single(sigma) for sigma in sigmas if sigma > 0]
    low, high = min(positive), max(positive)
    if low == high:  # a single step asks for no noise, and a path needs two ends
        low = high / 2
    with _drawn_from(kind):
        tree = torchsde.BrownianTree(low, torch.zeros(x.shape, dtype=x.dtype), high, entropy=seed)
    ends = round(low, TREE_DIGITS), round(high, TREE_DIGITS)

    def noise(sigma: float, next_sigma: float) -> Tensor:
        upper, lower = _single(sigma), _single(next_sigma)
        with _drawn_from(kind):
            path = tree(max(lower, ends[0]), min(upper, ends[1]))
        return (-path / math.sqrt(upper - lower)).to(x.device)  # k-diffusion turns the sign on the way down

    return noise


@contextmanager
def _drawn_from(kind: Numbers | None) -> Iterator[None]:
    """torchsde draws from CPU generators, and has no way to tell it another; inside it draws from such as `kind`."""
    if kind is None:
        yield
        return
    before = brownian_interval._randn

    def drawn(size: tuple[int, ...], dtype: torch.dtype, device: torch.device, seed: int) -> Tensor:
        return normal(size, anew(kind, int(seed)), dtype).to(device)

    brownian_interval._randn = drawn
    try:
        yield
    finally:
        brownian_interval._randn = before


def _single(sigma: float) -> float:
    """Rounded to single precision, as other studios keep their sigmas: a path's grid depends on the last digit of its ends."""
    return float(torch.tensor(sigma, dtype=torch.float32))
