"""Noise levels for a number of steps: lists of floats that fall from the model's largest sigma and end in 0.

Names and formulas are A1111's. ComfyUI's agree for normal, karras, exponential, simple and sgm_uniform; its `beta` spaces
(and rounds) timesteps where A1111, Forge and diffusers space sigmas.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

from scipy.special import betaincinv

from pipelines.errors import InvalidRequest, UnknownName

from .model import ModelSigmas

RHO = 7.0
BETA_SHAPE = 0.6

DROPS_LAST_LEVEL = frozenset({"dpm_2", "dpmpp_3m_sde"})
"""Samplers that A1111 gives one level more and then spares the last one above 0, which they take badly."""


def _ramp(steps: int) -> list[float]:
    """`steps` numbers from 0 to 1; one step is the start."""
    return [index / max(steps - 1, 1) for index in range(steps)]


def normal(steps: int, model: ModelSigmas) -> list[float]:
    """Even timesteps from the last to the first (A1111 "Uniform", ComfyUI "normal", diffusers' Euler "linspace")."""
    last = len(model.sigmas) - 1
    return [model.sigma(last * (1 - at)) for at in _ramp(steps)]


def sgm_uniform(steps: int, model: ModelSigmas) -> list[float]:
    """Even timesteps, the step from the first of them to clean as long as the others (Stability's generative-models)."""
    last = len(model.sigmas) - 1
    return [model.sigma(last * (1 - index / steps)) for index in range(steps)]


def simple(steps: int, model: ModelSigmas) -> list[float]:
    """Every n-th trained level, from the last one (ComfyUI's; diffusers' "trailing" where the steps divide the levels)."""
    return [model.sigmas[-1 - index * len(model.sigmas) // steps] for index in range(steps)]


def karras(steps: int, model: ModelSigmas) -> list[float]:
    """Even in the seventh root of sigma (Karras et al. 2022, equation 5)."""
    low, high = model.sigma_min ** (1 / RHO), model.sigma_max ** (1 / RHO)
    return [(high + at * (low - high)) ** RHO for at in _ramp(steps)]


def exponential(steps: int, model: ModelSigmas) -> list[float]:
    """Even in log-sigma."""
    low, high = math.log(model.sigma_min), math.log(model.sigma_max)
    return [math.exp(high + at * (low - high)) for at in _ramp(steps)]


def beta(steps: int, model: ModelSigmas) -> list[float]:
    """Sigmas at even quantiles of a Beta(0.6, 0.6): dense at both ends (Lee et al. 2024, arXiv 2407.12173)."""
    spread = model.sigma_max - model.sigma_min
    return [model.sigma_min + spread * float(betaincinv(BETA_SHAPE, BETA_SHAPE, 1 - at)) for at in _ramp(steps)]


SCHEDULES: Mapping[str, Callable[[int, ModelSigmas], list[float]]] = {
    "normal": normal,
    "karras": karras,
    "exponential": exponential,
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "beta": beta,
}


def sigmas(schedule: str, steps: int, model: ModelSigmas, sampler: str | None = None) -> list[float]:
    """`steps` strictly falling levels and a final 0.0; `sampler` (a key of `SAMPLERS`) adds what that one needs."""
    if schedule not in SCHEDULES:
        raise UnknownName("schedule", schedule, SCHEDULES)
    spare = int(sampler in DROPS_LAST_LEVEL)
    levels = [*SCHEDULES[schedule](steps + spare, model)[:steps], 0.0]
    if not all(high > low for high, low in pairwise(levels)):
        raise InvalidRequest(
            f"schedule {schedule!r} has fewer than {steps} different noise levels on this checkpoint, which was trained on "
            f"{len(model.sigmas)}; take fewer steps or another schedule.",
            "schedule",
        )
    return levels
