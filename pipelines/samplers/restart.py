"""Restart sampling (Xu et al. 2023, arXiv 2306.14878): Heun steps that go back up through noise and come down again."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from .protocol import PLAIN, Denoise, Noise, Sampling, Settings, answered, finish_step
from .schedules import RHO, karras_levels

FROM, TO = 0.1, 2.0
"""Levels between which the way is gone again, as A1111 has them."""


def restart(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Heun over Karras levels between the schedule's ends; from 20 steps on nine of them go the last part once more.

    From 36 steps on a quarter of them each goes it twice more. Below 20 steps, or where the pass stops early, it is Heun.
    """
    steps = _steps(sigmas)
    at = steps[0][0]
    for index, (sigma, next_sigma) in enumerate(steps, 1):
        if sigma > at:
            x = x + noise(at, sigma) * (settings.s_noise * (sigma**2 - at**2) ** 0.5)
        denoised = answered((yield Denoise(x, sigma)))
        slope = (x - denoised) / sigma
        if next_sigma > 0:
            ahead = x + slope * (next_sigma - sigma)
            slope = (slope + (ahead - answered((yield Denoise(ahead, next_sigma)))) / next_sigma) / 2
        x, at = x + slope * (next_sigma - sigma), next_sigma
        x = yield from finish_step(index, len(steps), denoised, x)
    return x


def _steps(sigmas: Sequence[float]) -> list[tuple[float, float]]:
    """From where to where each step goes."""
    count = len(sigmas) - 1
    if count < 20 or sigmas[-1] > 0:
        return list(pairwise(sigmas))
    again, times = (9, 1) if count < 36 else (count // 4, 2)
    levels = [*karras_levels(count - again * times, sigmas[-2], sigmas[0], RHO), 0.0]
    low, high = _nearest(levels, FROM), _nearest(levels, TO)
    steps = list(pairwise(levels))
    if high >= low:
        return steps
    repeated = list(pairwise(karras_levels(again + 1, levels[low], levels[high], RHO)))
    return [*steps[:low], *repeated * times, *steps[low:]]


def _nearest(levels: Sequence[float], level: float) -> int:
    return min(range(len(levels)), key=lambda index: abs(levels[index] - level))
