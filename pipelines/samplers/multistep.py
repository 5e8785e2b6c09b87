"""Solvers that learn from the slopes or estimates of earlier steps along sigma, so that each step asks once.

Linear multistep: Adams-Bashforth over sigma, Liu et al. 2022, arXiv 2202.09778. iPNDM: Zhang & Chen 2022, arXiv 2204.13902.
Gradient estimation: Permenter & Yuan 2023, arXiv 2306.04848. RES: Zhang et al. 2023, arXiv 2308.02157.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from .euler import ancestral_step
from .protocol import PLAIN, Denoise, Noise, Sampling, Settings, answered, finish_step

ORDER = 4
EVEN_STEPS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
"""Adams-Bashforth weights for steps of one size, by how many slopes there are, newest first."""

GAMMA = 2.0
"""How far gradient estimation leans on the newest slope: the paper's best."""


def lms(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Adams-Bashforth over sigma, of order up to 4, with exact coefficients for uneven steps."""
    slopes: list[Tensor] = []
    for index, (sigma, _) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        slopes = [(x - denoised) / sigma, *slopes[: ORDER - 1]]  # newest first
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


def ipndm(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Adams-Bashforth of order up to 4 over sigma as if all steps were of one size; the last step goes to the estimate."""
    slopes: list[Tensor] = []
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        slopes = [(x - denoised) / sigma, *slopes[: ORDER - 1]]
        if next_sigma > 0:
            mean = sum(weight * slope for weight, slope in zip(EVEN_STEPS[len(slopes) - 1], slopes, strict=True))
            x = x + mean * (next_sigma - sigma)
        else:
            x = denoised
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def gradient_estimation(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Euler with a slope that is corrected by its last change: gamma·new + (1 - gamma)·old; the last step goes to the estimate."""
    old = None
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        slope = (x - denoised) / sigma
        if next_sigma > 0:
            corrected = slope if old is None else GAMMA * slope + (1 - GAMMA) * old
            x = x + corrected * (next_sigma - sigma)
        else:
            x = denoised
        old = slope
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def res_multistep(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """RES: exponential two-step solver of second order in the data prediction; with eta, ancestral as ComfyUI has it."""
    old, old_down = None, 0.0
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        down, _, up = ancestral_step(sigma, next_sigma, settings)
        towards = denoised
        if old is not None and down > 0:
            towards = denoised + res_weight(sigma, down, sigmas[index - 2], old_down) * (old - denoised)
        x = (down / sigma) * x + (1 - down / sigma) * towards
        if up > 0:
            x = x + noise(sigma, next_sigma) * (settings.s_noise * up)
        old, old_down = denoised, down
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def res_weight(sigma: float, down: float, old_sigma: float, old_down: float) -> float:
    """How far the estimate of a RES step leans to the one before, from the ends of both steps; negative: away from it."""
    h = math.log(sigma / down)
    behind = math.log(old_down / old_sigma)  # the step before, in log-SNR; negative
    phi_2 = 1 + math.expm1(-h) / h
    return (phi_2 / -math.expm1(-h)) * (h / behind)
