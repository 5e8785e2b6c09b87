"""Euler and Heun steps of the probability-flow ODE, and Euler's ancestral form (Karras et al. 2022, arXiv 2206.00364)."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from .protocol import PLAIN, Denoise, Noise, Sampling, Settings, answered, finish_step

MOST_CHURN = 2**0.5 - 1
"""No step may stir in more noise than there is (Karras et al., algorithm 2)."""


def ancestral_step(sigma: float, next_sigma: float, settings: Settings = PLAIN) -> tuple[float, float, float]:
    """How to reach `next_sigma` by fresh noise: step down to `down`, then take `scale` of it and noise of deviation `up`.

    For flow models the step down is ComfyUI's (a share of the way past the next level), since theirs has no published form.
    """
    if settings.eta == 0:
        return next_sigma, 1.0, 0.0
    if settings.flow:
        down = next_sigma * (1 + (next_sigma / sigma - 1) * settings.eta)
        scale = (1 - next_sigma) / (1 - down)
        return down, scale, max(next_sigma**2 - (down * scale) ** 2, 0.0) ** 0.5
    up = min(next_sigma, settings.eta * (next_sigma**2 * (sigma**2 - next_sigma**2) / sigma**2) ** 0.5)
    return (next_sigma**2 - up**2) ** 0.5, 1.0, up


def churned(x: Tensor, sigma: float, next_sigma: float, steps: int, noise: Noise, settings: Settings) -> tuple[Tensor, float]:
    """x with a little more noise and the level it then has; as it was where there is no churn.

    The noise is drawn in every step, also in those outside the range, as k-diffusion does.
    """
    if settings.s_churn <= 0 or settings.flow:
        return x, sigma
    fresh = noise(sigma, next_sigma) * settings.s_noise
    if not settings.s_tmin <= sigma <= settings.s_tmax:
        return x, sigma
    stirred = sigma * (1 + min(settings.s_churn / steps, MOST_CHURN))
    return x + fresh * (stirred**2 - sigma**2) ** 0.5, stirred


def euler(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Algorithm 2 of Karras et al. without its second-order correction; deterministic without churn."""
    steps = len(sigmas) - 1
    for index, (level, next_sigma) in enumerate(pairwise(sigmas), 1):
        x, sigma = churned(x, level, next_sigma, steps, noise, settings)
        denoised = answered((yield Denoise(x, sigma)))
        x = x + (x - denoised) / sigma * (next_sigma - sigma)
        x = yield from finish_step(index, steps, denoised, x)
    return x


def euler_ancestral(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Euler down past the next level, then fresh noise up to it.

    In sigma space this is DDIM with that eta, and with eta 1 the DDPM sampler (Ho et al. 2020; Song et al. 2020, equation 16).
    """
    for index, (sigma, next_sigma) in enumerate(pairwise(sigmas), 1):
        denoised = answered((yield Denoise(x, sigma)))
        down, scale, up = ancestral_step(sigma, next_sigma, settings)
        x = x + (x - denoised) / sigma * (down - sigma)
        if up > 0:
            x = scale * x + noise(sigma, next_sigma) * (settings.s_noise * up)
        x = yield from finish_step(index, len(sigmas) - 1, denoised, x)
    return x


def heun(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Algorithm 2 of Karras et al.: the mean of the slopes at both ends; two estimates a step, one for the last."""
    steps = len(sigmas) - 1
    for index, (level, next_sigma) in enumerate(pairwise(sigmas), 1):
        x, sigma = churned(x, level, next_sigma, steps, noise, settings)
        denoised = answered((yield Denoise(x, sigma)))
        slope = (x - denoised) / sigma
        if next_sigma > 0:
            ahead = x + slope * (next_sigma - sigma)
            denoised_ahead = answered((yield Denoise(ahead, next_sigma)))
            slope = (slope + (ahead - denoised_ahead) / next_sigma) / 2
        x = x + slope * (next_sigma - sigma)
        x = yield from finish_step(index, steps, denoised, x)
    return x


def heunpp2(x: Tensor, sigmas: Sequence[float], noise: Noise, settings: Settings = PLAIN) -> Sampling:
    """Heun++: slopes of up to two steps ahead, weighted by their sigma (Carzit's sd-webui-samplers-scheduler, from which ComfyUI has it).

    Three estimates a step, two for the last but one, one for the last.
    """
    steps = len(sigmas) - 1
    for index, level in enumerate(sigmas[:-1]):
        x, sigma = churned(x, level, sigmas[index + 1], steps, noise, settings)
        denoised = answered((yield Denoise(x, sigma)))
        slope = first = mean = (x - denoised) / sigma
        later = sigmas[index + 1 : min(index + 3, steps)]  # levels at which to look ahead; not at the end
        there, here = x, sigma
        for ahead in later:
            there = there + slope * (ahead - here)
            slope, here = (there - answered((yield Denoise(there, ahead)))) / ahead, ahead
            mean = mean + (ahead / ((len(later) + 1) * sigmas[0])) * (slope - first)
        x = x + mean * (sigmas[index + 1] - sigma)
        x = yield from finish_step(index + 1, steps, denoised, x)
    return x
