"""Solvers that learn from the estimates of earlier steps, so that each step asks once.

DPM-Solver++(2M), (2M) SDE and (3M) SDE: Lu et al. 2022, arXiv 2211.01095, in the form that Katherine Crowson gave them
in k-diffusion. Linear multistep: Adams-Bashforth over sigma, Liu et al. 2022, arXiv 2202.09778. `h` is a step in
log-sigma; eta is 1 throughout.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from .protocol import Denoise, Noise, Sampling, answered, finish_step

LMS_ORDER = 4


def lms(x: Tensor, sigmas: Sequence[float], noise: Noise) -> Sampling:
    """Adams-Bashforth over sigma, of order up to 4, with exact coefficients for uneven steps."""
    slopes: list[Tensor] = []
    for index, (sigma, _) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        slopes = [(x - denoised) / sigma, *slopes[: LMS_ORDER - 1]]  # newest first
        weights = _adams_bashforth([sigmas[index - 1 - back] for back in range(len(slopes))], sigmas[index])
        for weight, slope in zip(weights, slopes, strict=True):
            x = x + weight * slope
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def _adams_bashforth(known: Sequence[float], end: float) -> list[float]:
    """Integrals from known[0] to `end` of the Lagrange polynomials on `known`; two Gauss nodes are exact up to cubics."""
    start = known[0]
    half = (end - start) / 2
    nodes = (start + half * (1 - 3**-0.5), start + half * (1 + 3**-0.5))

    def polynomial(which: int, at: float) -> float:
        return math.prod((at - other) / (known[which] - other) for position, other in enumerate(known) if position != which)

    return [half * sum(polynomial(which, node) for node in nodes) for which in range(len(known))]


def dpmpp_2m(x: Tensor, sigmas: Sequence[float], noise: Noise) -> Sampling:
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


def dpmpp_2m_sde(x: Tensor, sigmas: Sequence[float], noise: Noise) -> Sampling:
    """DPM-Solver++(2M) for the SDE, midpoint form: as 2M, with half of the way taken by fresh noise."""
    old, old_h = None, 0.0
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        if next_sigma > 0:
            h = math.log(sigma / next_sigma)
            gain = -math.expm1(-2 * h)
            x = math.exp(-2 * h) * x + gain * denoised
            if old is not None:
                x = x + gain * (h / (2 * old_h)) * (denoised - old)
            x = x + noise(sigma, next_sigma) * (next_sigma * math.sqrt(gain))
            old, old_h = denoised, h
        else:
            x = denoised
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def dpmpp_3m_sde(x: Tensor, sigmas: Sequence[float], noise: Noise) -> Sampling:
    """DPM-Solver++(3M) for the SDE: slope and curvature of the estimate from the three newest, by divided differences."""
    older: list[tuple[Tensor, float]] = []  # estimates and steps before this one, newest first
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        if next_sigma > 0:
            h = math.log(sigma / next_sigma)
            x = math.exp(-2 * h) * x - math.expm1(-2 * h) * denoised + _bend(denoised, older, h)
            x = x + noise(sigma, next_sigma) * (next_sigma * math.sqrt(-math.expm1(-2 * h)))
            older = [(denoised, h), *older[:1]]
        else:
            x = denoised
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def _bend(denoised: Tensor, older: Sequence[tuple[Tensor, float]], h: float) -> Tensor | float:
    """What the change of the estimate over the step adds: 0, one or two terms, as many as there are older estimates."""
    if not older:
        return 0.0
    phi_2 = math.expm1(-2 * h) / (2 * h) + 1
    (previous, h_1), *rest = older
    slope = (denoised - previous) * (h / h_1)
    if not rest:
        return phi_2 * slope
    (before, h_2) = rest[0]
    r0, r1 = h_1 / h, h_2 / h
    curvature = (slope - (previous - before) / r1) / (r0 + r1)
    return phi_2 * (slope + curvature * r0) - (phi_2 / (2 * h) - 0.5) * curvature
