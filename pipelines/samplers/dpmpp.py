"""DPM-Solver++ of several steps: the estimate extrapolated along log-sigma from the newest ones, with or without noise.

(2M), (2M) SDE and (3M) SDE: Lu et al. 2022, arXiv 2211.01095, in the form that Katherine Crowson gave them in k-diffusion.
`h` is a step in log-sigma.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from .protocol import PLAIN, Denoise, Noise, Sampling, Settings, answered, finish_step


def dpmpp_2m(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """DPM-Solver++(2M): deterministic, the estimate extrapolated along log-sigma from the two newest."""
    old, old_h = None, 0.0
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        if next_sigma > 0:
            h = math.log(sigma / next_sigma)
            ahead = denoised if old is None else denoised + (denoised - old) * (h / (2 * old_h))
            x = (next_sigma / sigma) * x - math.expm1(-h) * ahead
            old, old_h = denoised, h
        else:
            x = denoised
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def dpmpp_2m_sde(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """DPM-Solver++(2M) for the SDE, midpoint form: as 2M, with part of the way taken by fresh noise."""
    return _dpmpp_2m_sde(x, sigmas, noise, settings, heun=False)


def dpmpp_2m_sde_heun(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """DPM-Solver++(2M) for the SDE, Heun form: the slope of the estimate integrated exactly."""
    return _dpmpp_2m_sde(x, sigmas, noise, settings, heun=True)


def _dpmpp_2m_sde(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings, heun: bool) -> Sampling:
    old, old_h = None, 0.0
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        if next_sigma > 0:
            h = math.log(sigma / next_sigma)
            gain = _gain(h, settings)
            x = _decayed(x, sigma, next_sigma, h, settings) + gain * denoised
            if old is not None:
                half = _phi_2(h, settings) if heun else gain / 2
                x = x + half * (h / old_h) * (denoised - old)
            x = _noised(x, sigma, next_sigma, h, noise, settings)
            old, old_h = denoised, h
        else:
            x = denoised
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def dpmpp_3m_sde(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """DPM-Solver++(3M) for the SDE: slope and curvature of the estimate from the three newest, by divided differences."""
    older: list[tuple[Tensor, float]] = []  # estimates and steps before this one, newest first
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        if next_sigma > 0:
            h = math.log(sigma / next_sigma)
            x = _decayed(x, sigma, next_sigma, h, settings) + _gain(h, settings) * denoised + _bend(denoised, older, h, settings)
            x = _noised(x, sigma, next_sigma, h, noise, settings)
            older = [(denoised, h), *older[:1]]
        else:
            x = denoised
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def _decayed(x: Tensor, sigma: float, next_sigma: float, h: float, settings: Settings) -> Tensor:
    """What is left of x after the step."""
    return (next_sigma / sigma * math.exp(-settings.eta * h)) * x


def _gain(h: float, settings: Settings) -> float:
    """The share of the estimate."""
    return -math.expm1(-(1 + settings.eta) * h)


def _phi_2(h: float, settings: Settings) -> float:
    h_eta = (1 + settings.eta) * h
    return math.expm1(-h_eta) / h_eta + 1


def _noised(x: Tensor, sigma: float, next_sigma: float, h: float, noise: Noise, settings: Settings) -> Tensor:
    if settings.eta == 0:
        return x
    return x + noise(sigma, next_sigma) * (settings.s_noise * next_sigma * math.sqrt(-math.expm1(-2 * settings.eta * h)))


def _bend(denoised: Tensor, older: Sequence[tuple[Tensor, float]], h: float, settings: Settings) -> Tensor | float:
    """What the change of the estimate over the step adds: 0, one or two terms, as many as there are older estimates."""
    if not older:
        return 0.0
    phi_2 = _phi_2(h, settings)
    (previous, h_1), *rest = older
    slope = (denoised - previous) * (h / h_1)
    if not rest:
        return phi_2 * slope
    (before, h_2) = rest[0]
    r0, r1 = h_1 / h, h_2 / h
    curvature = (slope - (previous - before) / r1) / (r0 + r1)
    return phi_2 * (slope + curvature * r0) - (phi_2 / ((1 + settings.eta) * h) - 0.5) * curvature
