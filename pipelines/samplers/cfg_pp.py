"""CFG++: only the estimate is guided, the noise that is left stays the unguided one (Chung et al. 2024, arXiv 2406.08070).

So a guidance of 1 to 2 has the effect of the usual 5 to 12, and the picture keeps its contrast. Each sampler is the one of its
name with x - unguided in the place of x - guided; corrections from earlier steps are taken from unguided estimates, as the
authors do. Where an estimate without guidance is the guided one, each equals the sampler of its name.
"""

import math
from collections.abc import Generator, Sequence
from itertools import pairwise

from torch import Tensor

from .euler import ancestral_step
from .multistep import GAMMA, res_weight
from .protocol import PLAIN, Denoise, Noise, Sampling, Settings, Stepped, answered, finish_step

A1111_SHARE = 1 / 12.5


def _both(x: Tensor, sigma: float) -> Generator[Denoise | Stepped, Tensor | None, tuple[Tensor, Tensor]]:
    """The guided and the unguided estimate, each (1, c, h, w)."""
    guided, unguided = answered((yield Denoise(x, sigma, unguided=True))).chunk(2)
    return guided, unguided


def euler_cfg_pp(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Euler; with eta ancestral."""
    return _euler(x, sigmas, noise, settings, 1.0)


def ddim_cfg_pp(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """The same as A1111 has it: the guidance has a twelfth and a bit of its strength, so that the numbers people know suit it."""
    return _euler(x, sigmas, noise, settings, A1111_SHARE)


def _euler(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings, share: float) -> Sampling:
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        guided, unguided = yield from _both(x, sigma)
        denoised = guided if share == 1 else unguided + (guided - unguided) * share
        down, _, up = ancestral_step(sigma, next_sigma, settings)
        x = denoised + (x - unguided) * (down / sigma)
        if up > 0:
            x = x + noise(sigma, next_sigma) * (settings.s_noise * up)
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def dpmpp_2s_ancestral_cfg_pp(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """DPM-Solver++(2S), ancestral, from an x moved by what guidance adds at the start of the step."""
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised, unguided = yield from _both(x, sigma)
        moved, estimate = x + (denoised - unguided), denoised
        down, _, up = ancestral_step(sigma, next_sigma, settings)
        if down > 0:
            middle = math.sqrt(sigma * down)
            halfway = (middle / sigma) * moved + (1 - middle / sigma) * denoised
            estimate, _ = yield from _both(halfway, middle)
        x = (down / sigma) * moved + (1 - down / sigma) * estimate
        if up > 0:
            x = x + noise(sigma, next_sigma) * (settings.s_noise * up)
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def dpmpp_2m_cfg_pp(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """DPM-Solver++(2M), the unguided estimate extrapolated along log-sigma."""
    old, old_h = None, 0.0
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised, unguided = yield from _both(x, sigma)
        x = denoised + (x - unguided) * (next_sigma / sigma)
        if next_sigma > 0:
            h = math.log(sigma / next_sigma)
            if old is not None:
                x = x - math.expm1(-h) * (h / (2 * old_h)) * (unguided - old)
            old, old_h = unguided, h
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def res_multistep_cfg_pp(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """RES with two steps; with eta ancestral."""
    old, old_down = None, 0.0
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised, unguided = yield from _both(x, sigma)
        down, _, up = ancestral_step(sigma, next_sigma, settings)
        moved = denoised + (x - unguided) * (down / sigma)
        if old is not None and down > 0:
            moved = moved + (1 - down / sigma) * res_weight(sigma, down, sigmas[index - 2], old_down) * (old - unguided)
        x = moved
        if up > 0:
            x = x + noise(sigma, next_sigma) * (settings.s_noise * up)
        old, old_down = unguided, down
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def gradient_estimation_cfg_pp(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Gradient estimation over the unguided slope."""
    old = None
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised, unguided = yield from _both(x, sigma)
        slope = (x - unguided) / sigma
        x = denoised + slope * next_sigma
        if old is not None and next_sigma > 0:
            x = x + (GAMMA - 1) * (slope - old) * (next_sigma - sigma)
        old = slope
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x
