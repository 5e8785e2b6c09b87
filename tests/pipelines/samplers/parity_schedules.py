"""How near each schedule is to the formula it is named for, or to the code that people know it from."""

import functools
import math
import warnings
from collections.abc import Callable

import numpy as np
from diffusers import EulerDiscreteScheduler, LCMScheduler
from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule
from diffusers.schedulers import AysSchedules
from scipy.stats import beta as beta_distribution

from pipelines.samplers import SCHEDULES, FlowSigmas, ModelSigmas, sigmas

from .k_diffusion_oracle import sampling
from .mixture import SD

MODEL = ModelSigmas.from_config(SD, "sd1")
TRAINED = np.array(MODEL.sigmas)
LOW, HIGH = MODEL.sigma_min, MODEL.sigma_max
STEPS = (5, 10, 20, 50)


def at(timesteps: np.ndarray) -> np.ndarray:
    """k-diffusion's t_to_sigma: log-linear between the trained levels."""
    return np.exp(np.interp(timesteps, np.arange(len(TRAINED)), np.log(TRAINED)))


def euler(steps: int, **config: object) -> list[float]:
    scheduler = EulerDiscreteScheduler.from_config(SD, **config)
    scheduler.set_timesteps(steps)
    return scheduler.sigmas.tolist()[:-1]


def align_your_steps(steps: int) -> np.ndarray:
    published = [*AysSchedules["StableDiffusionSigmas"][:-1], 0.029]
    return np.exp(np.interp(np.linspace(0, 1, steps), np.linspace(0, 1, len(published)), np.log(published)))


def lcm(steps: int) -> np.ndarray:
    scheduler = LCMScheduler.from_config(SD)
    scheduler.set_timesteps(steps)
    return TRAINED[scheduler.timesteps.numpy()]


REFERENCES: dict[str, tuple[str, Callable[[int], object]]] = {
    "karras": ("k-diffusion `get_sigmas_karras`", lambda n: sampling().get_sigmas_karras(n, LOW, HIGH)[:-1].tolist()),
    "exponential": ("k-diffusion `get_sigmas_exponential`", lambda n: sampling().get_sigmas_exponential(n, LOW, HIGH)[:-1].tolist()),
    "polyexponential": (
        "k-diffusion `get_sigmas_polyexponential`", lambda n: sampling().get_sigmas_polyexponential(n, LOW, HIGH)[:-1].tolist(),
    ),
    "sgm_uniform": ("A1111's formula: even timesteps, the last left out", lambda n: at(np.linspace(999, 0, n + 1)[:-1])),
    "kl_optimal": ("the paper's formula", lambda n: np.tan(np.linspace(math.atan(HIGH), math.atan(LOW), n))),
    "align_your_steps": ("the published levels, log-linear between them", align_your_steps),
    "simple": ("A1111's formula: every n-th trained level", lambda n: [TRAINED[-(1 + int(i * 1000 / n))] for i in range(n)]),
    "normal": ("k-diffusion's `DiscreteSchedule`: even timesteps", lambda n: at(np.linspace(999, 0, n))),
    "ddim_uniform": ("diffusers' `leading` spacing", lambda n: euler(n, timestep_spacing="leading")),
    "beta": ("diffusers' `use_beta_sigmas`", lambda n: euler(n, timestep_spacing="linspace", use_beta_sigmas=True)),
    "beta_timesteps": (
        "the paper's formula, unrounded", lambda n: at(999 * beta_distribution.ppf(1 - np.linspace(0, 1, n, endpoint=False), 0.6, 0.6)),
    ),
    "linear_quadratic": ("diffusers' Mochi pipeline (flow)", lambda n: linear_quadratic_schedule(n, 0.025)),
    "turbo": ("Stability's ten timesteps", lambda n: [TRAINED[1000 - 100 * i - 1] for i in range(n)]),
    "lcm": ("diffusers' `LCMScheduler`", lcm),
}  # fmt: skip


@functools.cache
def rows() -> tuple[tuple[str, str, float], ...]:
    """Name, reference, and the largest relative difference of a level over several numbers of steps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what diffusers does with NumPy 2
        return tuple(_row(name) for name in SCHEDULES)


def _row(name: str) -> tuple[str, str, float]:
    said, reference = REFERENCES[name]
    worst = 0.0
    for steps in STEPS:
        if name == "turbo" and steps > 10:
            continue
        levels = np.array(sigmas(name, steps, FlowSigmas() if name == "linear_quadratic" else MODEL)[:-1])
        theirs = np.array(reference(steps), dtype=float)[: len(levels)]
        worst = max(worst, float(np.max(np.abs(levels / theirs - 1))))
    return name, said, worst
