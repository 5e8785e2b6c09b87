"""DPM-Solver and DPM-Solver++ steps with an estimate inside the step (Lu et al. 2022, arXiv 2206.00927 and 2211.01095)."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from .euler import ancestral_step, churned
from .protocol import PLAIN, Denoise, Noise, Sampling, Settings, answered, finish_step


def dpm_2(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """DPM-Solver-2 in sigma space: the slope at the geometric middle of the step carries the whole step; two estimates a step."""
    steps = len(sigmas) - 1
    for index, (level, next_sigma) in enumerate(pairwise(sigmas), 1):
        x, sigma = churned(x, level, next_sigma, steps, noise, settings)
        denoised = answered((yield Denoise(x, sigma)))
        slope = (x - denoised) / sigma
        if next_sigma > 0:
            middle = math.sqrt(sigma * next_sigma)
            halfway = x + slope * (middle - sigma)
            slope = (halfway - answered((yield Denoise(halfway, middle)))) / middle
        x = x + slope * (next_sigma - sigma)
        x = yield from finish_step(index, steps, denoised, x)
    return x


def dpm_2_ancestral(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """DPM-Solver-2 down past the next level, then fresh noise up to it; two estimates a step, one for the last."""
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        down, scale, up = ancestral_step(sigma, next_sigma, settings)
        slope = (x - denoised) / sigma
        if down > 0:
            middle = math.sqrt(sigma * down)
            halfway = x + slope * (middle - sigma)
            slope = (halfway - answered((yield Denoise(halfway, middle)))) / middle
        x = x + slope * (down - sigma)
        if up > 0:
            x = scale * x + noise(sigma, next_sigma) * (settings.s_noise * up)
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def dpmpp_2s_ancestral(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """DPM-Solver++(2S), ancestral: the estimate at the middle of the step carries it; two estimates a step, one for the last."""
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = estimate = answered((yield Denoise(x, sigma)))
        down, _, up = ancestral_step(sigma, next_sigma, settings)
        if down > 0:
            middle = math.sqrt(sigma * down)
            halfway = (middle / sigma) * x + (1 - middle / sigma) * denoised
            estimate = answered((yield Denoise(halfway, middle)))
        x = (down / sigma) * x + (1 - down / sigma) * estimate
        if up > 0:
            x = x + noise(sigma, next_sigma) * (settings.s_noise * up)
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def dpmpp_sde(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """DPM-Solver++ of second order for the SDE, one step at a time (k-diffusion's `dpmpp_sde`, r = 1/2).

    An ancestral half step to the geometric middle, an estimate there, an ancestral whole step with that estimate: two
    estimates a step, one for the last.
    """
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        if next_sigma > 0:
            middle = math.sqrt(sigma * next_sigma)
            halfway = _ancestral(x, denoised, sigma, middle, noise, settings)
            estimate = answered((yield Denoise(halfway, middle)))
            x = _ancestral(x, estimate, sigma, next_sigma, noise, settings)
        else:
            x = denoised
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def _ancestral(x: Tensor, denoised: Tensor, sigma: float, next_sigma: float, noise: Noise, settings: Settings) -> Tensor:
    """Towards `denoised` past `next_sigma`, and up to it by fresh noise."""
    down, _, up = ancestral_step(sigma, next_sigma, settings)
    x = (down / sigma) * x + (1 - down / sigma) * denoised
    return x + noise(sigma, next_sigma) * (settings.s_noise * up) if up > 0 else x
