"""DPM-Solver as it was published (Lu et al. 2022, arXiv 2206.00927): DPM fast for a number of estimates, DPM adaptive with its own steps.

Both go evenly, or as the error allows, through log-sigma from the first level to the last one above 0, and stop there: of a
schedule they take only its ends. k-diffusion's form; `eta` adds ancestral noise as A1111 does by default.
"""

import math
from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from .euler import ancestral_step
from .protocol import PLAIN, Denoise, Noise, Sampling, Settings, answered, finish_step

SHARES = {1: (), 2: (1 / 2,), 3: (1 / 3, 2 / 3)}
"""Where within a step its inner estimates lie in log-sigma, by the order of the step."""

RELATIVE, ABSOLUTE = 0.05, 0.0078
FIRST_STEP = 0.05
ACCEPTED = 0.81
ARRIVED = 1e-5
MOST_TRIES = 300
"""Then one step takes the rest of the way, so that no picture runs forever."""


def dpm_fast(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Steps of third order and a lower one at the end: as many estimates as the schedule has steps."""
    estimates = len(sigmas) - 1
    start, end = _ends(sigmas)
    orders = [3] * (estimates // 3 - 1) + [2, 1] if estimates % 3 == 0 else [3] * (estimates // 3) + [estimates % 3]
    sigma, done = start, 0
    for index, order in enumerate(orders, 1):
        next_sigma = end if index == len(orders) else start * (end / start) ** (index / len(orders))
        down, up = _down(sigma, next_sigma, end, settings)
        denoised, slopes = yield from _slopes(x, sigma, down, order)
        x = _solved(x, sigma, down, slopes)
        if up > 0:
            x = x + noise(sigma, next_sigma) * (settings.s_noise * up)
        sigma, done = next_sigma, done + order
        x = yield from finish_step(done, estimates, denoised, x)
    return x


def dpm_adaptive(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Steps of third order, as long as their difference from the second order allows; the number of steps has no effect.

    A step that went too far is taken back and tried again shorter: three estimates each time.
    """
    total = len(sigmas) - 1
    start, end = _ends(sigmas)
    sigma = start
    length, order = FIRST_STEP, 1.5 if settings.eta > 0 else 3.0
    low, tries = x, 0
    while math.log(sigma / end) > ARRIVED:
        tries += 1
        hurry = tries >= MOST_TRIES or not math.isfinite(length)  # or the model gave no numbers, which shows in the latents
        next_sigma = end if hurry else max(end, sigma * math.exp(-length))
        down, up = _down(sigma, next_sigma, end, settings)
        denoised, slopes = yield from _slopes(x, sigma, down, 3)
        lower, higher = _second(x, sigma, down, slopes[:2], SHARES[3][0]), _solved(x, sigma, down, slopes)
        factor = 1 + math.atan((1 / (_error(lower, higher, low) + 1e-8)) ** (1 / order) - 1)
        length *= factor
        if factor < ACCEPTED and not hurry:
            continue
        low, x, sigma, before = lower, higher, next_sigma, sigma
        if up > 0:
            x = x + noise(before, sigma) * (settings.s_noise * up)
        way = 1.0 if math.log(sigma / end) <= ARRIVED else math.log(start / sigma) / math.log(start / end)
        x = yield from finish_step(max(1, math.floor(way * total)), total, denoised, x)
    return x


def _ends(sigmas: Sequence[float]) -> tuple[float, float]:
    """The first level and the last above 0; with a single one, half of a thousandth of it stands for the last."""
    end = sigmas[-1] or sigmas[-2]
    return sigmas[0], end if end < sigmas[0] else sigmas[0] / 2000


def _down(sigma: float, next_sigma: float, end: float, settings: Settings) -> tuple[float, float]:
    """The level to step down to, not past the end, and the deviation of the noise that leads back up."""
    if settings.eta == 0:
        return next_sigma, 0.0
    down = max(end, ancestral_step(sigma, next_sigma, settings)[0])
    return down, math.sqrt(max(next_sigma**2 - down**2, 0.0))


def _slopes(x: Tensor, sigma: float, target: float, order: int) -> Generator[Denoise, Tensor | None, tuple[Tensor, list[Tensor]]]:
    """The estimate at the start of the step, and the slopes there and at its inner levels."""
    denoised = answered((yield Denoise(x, sigma)))
    slopes = [(x - denoised) / sigma]
    for share in SHARES[order]:
        inner = sigma ** (1 - share) * target**share
        there = x + slopes[0] * (inner - sigma)
        if len(slopes) == 2:
            there = there - (inner * (share / SHARES[3][0]) * _bend(sigma, inner)) * (slopes[1] - slopes[0])
        slopes.append((there - answered((yield Denoise(there, inner)))) / inner)
    return denoised, slopes


def _solved(x: Tensor, sigma: float, target: float, slopes: Sequence[Tensor]) -> Tensor:
    """x at `target`, of the order that the number of slopes allows."""
    if len(slopes) == 1:
        return x + slopes[0] * (target - sigma)
    if len(slopes) == 2:
        return _second(x, sigma, target, slopes, SHARES[2][0])
    return x + slopes[0] * (target - sigma) - (target / SHARES[3][1] * _bend(sigma, target)) * (slopes[2] - slopes[0])


def _second(x: Tensor, sigma: float, target: float, slopes: Sequence[Tensor], share: float) -> Tensor:
    return x + (slopes[0] + (slopes[1] - slopes[0]) / (2 * share)) * (target - sigma)


def _bend(sigma: float, target: float) -> float:
    h = math.log(sigma / target)
    return math.expm1(h) / h - 1


def _error(lower: Tensor, higher: Tensor, before: Tensor) -> float:
    """How far the two orders are apart, where 1 is as far as they may be."""
    allowed = torch.clamp(RELATIVE * torch.maximum(lower.abs(), before.abs()), min=ABSOLUTE)
    return float(torch.linalg.vector_norm((lower - higher) / allowed)) / lower.numel() ** 0.5
