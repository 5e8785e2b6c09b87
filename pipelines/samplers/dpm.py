"""DPM-Solver and DPM-Solver++ steps with an estimate inside the step (Lu et al. 2022, arXiv 2206.00927 and 2211.01095)."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from .euler import ancestral_step
from .protocol import Denoise, Noise, Sampling, answered, finish_step


def dpm_2(x: Tensor, sigmas: Sequence[float], noise: Noise) -> Sampling:
    """DPM-Solver-2 in sigma space: the slope at the geometric middle of the step carries the whole step; two estimates a step."""
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        slope = (x - denoised) / sigma
        if next_sigma > 0:
            middle = math.sqrt(sigma * next_sigma)
            halfway = x + slope * (middle - sigma)
            slope = (halfway - answered((yield Denoise(halfway, middle)))) / middle
        x = x + slope * (next_sigma - sigma)
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def dpmpp_sde(x: Tensor, sigmas: Sequence[float], noise: Noise) -> Sampling:
    """DPM-Solver++ of second order for the SDE, one step at a time (k-diffusion's `dpmpp_sde`, r = 1/2, eta = 1).

    An ancestral half step to the geometric middle, an estimate there, an ancestral whole step with that estimate: two
    estimates a step, one for the last.
    """
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        if next_sigma > 0:
            middle = math.sqrt(sigma * next_sigma)
            down, up = ancestral_step(sigma, middle)
            halfway = (down / sigma) * x + (1 - down / sigma) * denoised + noise(sigma, middle) * up
            estimate = answered((yield Denoise(halfway, middle)))
            down, up = ancestral_step(sigma, next_sigma)
            x = (down / sigma) * x + (1 - down / sigma) * estimate + noise(sigma, next_sigma) * up
        else:
            x = denoised
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x
