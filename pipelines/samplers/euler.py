"""Euler and Heun steps of the probability-flow ODE, and Euler's ancestral form (Karras et al. 2022, arXiv 2206.00364)."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from .protocol import Denoise, Noise, Sampling, answered, finish_step


def ancestral_step(sigma: float, next_sigma: float) -> tuple[float, float]:
    """The deviation to step down to and the deviation of the fresh noise that leads back up to `next_sigma`."""
    up = min(next_sigma, (next_sigma**2 * (sigma**2 - next_sigma**2) / sigma**2) ** 0.5)
    return (next_sigma**2 - up**2) ** 0.5, up


def euler(x: Tensor, sigmas: Sequence[float], noise: Noise) -> Sampling:
    """Algorithm 2 of Karras et al. without its second-order correction and without churn; deterministic."""
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        x = x + (x - denoised) / sigma * (next_sigma - sigma)
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def euler_ancestral(x: Tensor, sigmas: Sequence[float], noise: Noise) -> Sampling:
    """Euler down past the next level, then fresh noise up to it (the DDPM sampler in sigma space, Ho et al. 2020)."""
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        down, up = ancestral_step(sigma, next_sigma)
        x = x + (x - denoised) / sigma * (down - sigma)
        if next_sigma > 0:
            x = x + noise(sigma, next_sigma) * up
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def heun(x: Tensor, sigmas: Sequence[float], noise: Noise) -> Sampling:
    """Algorithm 2 of Karras et al. without churn: the mean of the slopes at both ends; two estimates a step, one for the last."""
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        slope = (x - denoised) / sigma
        if next_sigma > 0:
            ahead = x + slope * (next_sigma - sigma)
            denoised_ahead = answered((yield Denoise(ahead, next_sigma)))
            slope = (slope + (ahead - denoised_ahead) / next_sigma) / 2
        x = x + slope * (next_sigma - sigma)
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x
