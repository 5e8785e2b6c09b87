"""Stochastic exponential solvers in the data prediction: SEEDS, exponential Heun, ER-SDE; and what LCM checkpoints want.

SEEDS: Gonzalez et al. 2023, arXiv 2305.14267. ER-SDE-Solver: Cui et al. 2023, arXiv 2309.06169. LCM: Luo et al. 2023,
arXiv 2310.04378. `h` is a step in log-sigma; phi_1 and phi_2 are those of exponential integrators, times h.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from .protocol import PLAIN, Denoise, Noise, Sampling, Settings, answered, finish_step

POINTS = 200
"""Nodes of ER-SDE's integrals, as in the authors' code."""


def lcm(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Multistep consistency sampling: the estimate itself, with all of the next level's noise drawn anew."""
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        x = denoised = answered((yield Denoise(x, sigma)))
        if next_sigma > 0:
            x = x + noise(sigma, next_sigma) * (settings.s_noise * next_sigma)
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


class _Path:
    """The noise of one SDE step, grown from point to point so that a later point keeps what the earlier ones drew."""

    def __init__(self, sigma: float, noise: Noise, settings: Settings) -> None:
        self._start = self._at = sigma
        self._noise, self._settings = noise, settings
        self._drawn: Tensor | float = 0.0

    def step(self, x: Tensor, sigma: float) -> Tensor:
        """x of the start, decayed to `sigma`, with the noise that the way there brings; ask for falling sigmas."""
        eta = self._settings.eta
        ratio = sigma / self._start
        if eta > 0 and sigma < self._at:
            kept = (sigma / self._at) ** eta
            self._drawn = self._drawn * kept + self._noise(self._at, sigma) * math.sqrt(1 - kept**2)
            self._at = sigma
        return (ratio * ratio**eta) * x + self._drawn * (self._settings.s_noise * sigma)


def _phis(h: float, settings: Settings) -> tuple[float, float]:
    """h·phi_1(-h) and h·phi_2(-h) with the SDE's longer step (1 + eta)·h; both positive."""
    h_eta = (1 + settings.eta) * h
    return -math.expm1(-h_eta), 1 + math.expm1(-h_eta) / h_eta


def seeds_2(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """SEEDS-2: an estimate in the middle of the step carries it; two estimates a step, one for the last."""
    return _two_stages(x, sigmas, noise, settings, 0.5)


def exp_heun_2_x0(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Exponential Heun: estimates at both ends of the step, weighted by phi_1 and phi_2; two estimates a step, one for the last."""
    return _two_stages(x, sigmas, noise, settings, 1.0)


def _two_stages(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings, share: float) -> Sampling:
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        if next_sigma > 0:
            h, path = math.log(sigma / next_sigma), _Path(sigma, noise, settings)
            inner = next_sigma if share == 1 else sigma * math.exp(-share * h)
            there = path.step(x, inner) + _phis(share * h, settings)[0] * denoised
            ahead = answered((yield Denoise(there, inner)))
            whole, bent = _phis(h, settings)
            # at the middle its estimate stands for the whole step; at the end the change is integrated exactly
            x = path.step(x, next_sigma) + whole * denoised + (bent if share == 1 else whole) * (ahead - denoised)
        else:
            x = denoised
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def seeds_3(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """SEEDS-3: estimates at one and two thirds of the step; three estimates a step, one for the last."""
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        if next_sigma > 0:
            h, path = math.log(sigma / next_sigma), _Path(sigma, noise, settings)
            third, later = sigma * math.exp(-h / 3), sigma * math.exp(-2 * h / 3)
            there = path.step(x, third) + _phis(h / 3, settings)[0] * denoised
            change = answered((yield Denoise(there, third))) - denoised
            whole, bent = _phis(2 * h / 3, settings)
            there = path.step(x, later) + whole * denoised + 2 * bent * change
            change = answered((yield Denoise(there, later))) - denoised
            whole, bent = _phis(h, settings)
            x = path.step(x, next_sigma) + whole * denoised + 1.5 * bent * change
        else:
            x = denoised
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def er_sde(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """ER-SDE-Solver-3: the reverse SDE whose noise falls off as the authors' fifth scale function says."""
    older: list[tuple[float, Tensor, Tensor | None]] = []  # sigma, estimate and its slope, newest first
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        slope = None if not older else (denoised - older[0][1]) / (sigma - older[0][0])
        if next_sigma > 0:
            keep = _scale(next_sigma) / _scale(sigma)
            x = keep * x + (1 - keep) * denoised
            first, second = _integrals(sigma, next_sigma)
            if slope is not None:
                x = x + first * slope
                if older[0][2] is not None:
                    x = x + second * (slope - older[0][2]) * (2 / (sigma - older[1][0]))
            x = x + noise(sigma, next_sigma) * (settings.s_noise * math.sqrt(max(next_sigma**2 - (sigma * keep) ** 2, 0.0)))
        else:
            x = denoised
        older = [(sigma, denoised, slope), *older[:1]]
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def _scale(sigma: float) -> float:
    return sigma * (math.exp(sigma**0.3) + 10)


def _integrals(sigma: float, next_sigma: float) -> tuple[float, float]:
    """Weights of the estimate's slope and curvature over the step, by a left sum from the lower end as the authors take it."""
    width = (sigma - next_sigma) / POINTS
    points = [next_sigma + index * width for index in range(POINTS)]
    scale = _scale(next_sigma) * width
    first = next_sigma - sigma + scale * sum(1 / _scale(point) for point in points)
    second = (next_sigma - sigma) ** 2 / 2 + scale * sum((point - sigma) / _scale(point) for point in points)
    return first, second
