"""Noise levels for a number of steps: lists of floats that fall from the model's largest sigma and end in 0.

Names and formulas are A1111's; ComfyUI's agree, but for `beta`, which spaces (and rounds) timesteps there where A1111, Forge and
diffusers space sigmas (`beta_timesteps` here, unrounded), and KL optimal, which A1111 ends at the smallest sigma instead of 0.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from diffusers.schedulers import AysSchedules
from scipy.special import betaincinv

from pipelines.errors import InvalidRequest, UnknownName
from pipelines.names import AUTOMATIC, DISTILLED, FLOW_SCHEDULES, SAMPLER_DEFAULTS, SamplerSettings

from .flow import FlowSigmas
from .model import ModelSigmas

Trained = ModelSigmas | FlowSigmas

RHO = 7.0
BETA_SHAPE = 0.6
LINEAR_UNTIL = 0.025
LAST_ALIGNED = 0.029
"""The smallest level of Align Your Steps, in whose place diffusers' table has the 0 that follows it."""

ALIGNED: Mapping[str, tuple[float, ...]] = {
    family: (*AysSchedules[table][:-1], least)
    for family, table, least in (
        ("sd1", "StableDiffusionSigmas", LAST_ALIGNED),
        ("sdxl", "StableDiffusionXLSigmas", LAST_ALIGNED),
        ("svd", "StableDiffusionVideoSigmas", 0.002),
    )
}
"""Levels of ten steps by family (Sabour et al. 2024, arXiv 2404.14507)."""


@dataclass(frozen=True)
class Span:
    """The levels a schedule goes between, and its curve (None: the schedule's own)."""

    low: float
    high: float
    rho: float | None = None


def _ramp(steps: int) -> list[float]:
    """`steps` numbers from 0 to 1; one step is the start."""
    return [index / max(steps - 1, 1) for index in range(steps)]


def normal(steps: int, model: Trained, span: Span) -> list[float]:
    """Even timesteps from the last to the first (A1111 "Uniform", ComfyUI "normal", diffusers' Euler "linspace").

    On flow models this is what diffusers' FlowMatchEuler does with Stable Diffusion 3.
    """
    first, last = model.position(span.high), model.position(span.low)
    return [model.at(first + at * (last - first)) for at in _ramp(steps)]


def sgm_uniform(steps: int, model: Trained, span: Span) -> list[float]:
    """Even timesteps, the step from the first of them to clean as long as the others (Stability's generative-models).

    On flow models the levels are even before they are shifted, as diffusers' pipelines for Flux and its kin have them.
    """
    first = model.position(span.high)
    last = 0.0 if model.kind == "flow" else model.position(span.low)
    return [model.at(first + (last - first) * index / steps) for index in range(steps)]


def simple(steps: int, model: Trained, span: Span) -> list[float]:
    """Every n-th trained level, from the last one (ComfyUI's; diffusers' "trailing" where the steps divide the levels)."""
    return [model.sigmas[-1 - index * len(model.sigmas) // steps] for index in range(steps)]


def ddim_uniform(steps: int, model: Trained, span: Span) -> list[float]:
    """Every n-th trained level, from the second one up: DDIM's own, which starts below the largest sigma (diffusers' "leading")."""
    stride = max(len(model.sigmas) // steps, 1)
    return [model.sigmas[min(1 + index * stride, len(model.sigmas) - 1)] for index in reversed(range(steps))]


def karras_levels(steps: int, low: float, high: float, rho: float) -> list[float]:
    start, end = high ** (1 / rho), low ** (1 / rho)
    return [(start + at * (end - start)) ** rho for at in _ramp(steps)]


def karras(steps: int, model: Trained, span: Span) -> list[float]:
    """Even in the seventh root of sigma (Karras et al. 2022, equation 5); rho is the root."""
    return karras_levels(steps, span.low, span.high, span.rho or RHO)


def exponential(steps: int, model: Trained, span: Span) -> list[float]:
    """Even in log-sigma."""
    low, high = math.log(span.low), math.log(span.high)
    return [math.exp(high + at * (low - high)) for at in _ramp(steps)]


def polyexponential(steps: int, model: Trained, span: Span) -> list[float]:
    """A power of the way in log-sigma; with rho 1 it is `exponential`."""
    low, high = math.log(span.low), math.log(span.high)
    return [math.exp(low + (1 - at) ** (span.rho or 1.0) * (high - low)) for at in _ramp(steps)]


def kl_optimal(steps: int, model: Trained, span: Span) -> list[float]:
    """Even in the arctangent of sigma (Sabour et al. 2024, theorem 3.1)."""
    low, high = math.atan(span.low), math.atan(span.high)
    return [math.tan(high + at * (low - high)) for at in _ramp(steps)]


def align_your_steps(steps: int, model: Trained, span: Span) -> list[float]:
    """Levels found by optimising for the family, log-linear between them for other numbers of steps."""
    levels = ALIGNED.get(model.family)
    if levels is None or not 0.9 < levels[0] / model.sigma_max < 1.1:
        families = ", ".join(ALIGNED)
        raise InvalidRequest(
            f"schedule 'align_your_steps' is made for the noise levels of {families} only; take another schedule.", "schedule"
        )
    places = (at * (len(levels) - 1) for at in _ramp(steps))
    below = ((min(int(place), len(levels) - 2), place) for place in places)
    return [levels[index] * (levels[index + 1] / levels[index]) ** (place - index) for index, place in below]


def beta(steps: int, model: Trained, span: Span) -> list[float]:
    """Sigmas at even quantiles of a Beta(0.6, 0.6): dense at both ends (Lee et al. 2024, arXiv 2407.12173)."""
    return [span.low + (span.high - span.low) * float(betaincinv(BETA_SHAPE, BETA_SHAPE, 1 - at)) for at in _ramp(steps)]


def beta_timesteps(steps: int, model: Trained, span: Span) -> list[float]:
    """Timesteps at even quantiles of a Beta(0.6, 0.6), as the paper has it (ComfyUI "beta", which rounds them)."""
    places = (float(betaincinv(BETA_SHAPE, BETA_SHAPE, 1 - index / steps)) for index in range(steps))
    last = len(model.sigmas) - 1
    return [model.at((1 + place * last) / (last + 1) if model.kind == "flow" else place) for place in places]


def linear_quadratic(steps: int, model: Trained, span: Span) -> list[float]:
    """Half of the steps in a fortieth of the way, then ever longer ones (Polyak et al. 2024, arXiv 2410.13720, for flow models)."""
    linear = max(steps // 2, 1)
    done = [index * LINEAR_UNTIL / linear for index in range(min(linear, steps))]
    rest = steps - linear
    for index in range(1, rest + 1):
        slope = LINEAR_UNTIL / linear  # the parabola goes on as the line ends, and arrives at 1
        bend = (1 - LINEAR_UNTIL - slope * rest) / rest**2
        done.append(LINEAR_UNTIL + slope * (index - 1) + bend * (index - 1) ** 2)
    return [model.sigma_max * (1 - share) for share in done]


def turbo(steps: int, model: Trained, span: Span) -> list[float]:
    """The ten timesteps on which the Turbo checkpoints were distilled, from the last one (Sauer et al. 2023, arXiv 2311.17042)."""
    return [model.sigmas[at] for at in _distilled("turbo", steps, model, range(steps))]


def lcm(steps: int, model: Trained, span: Span) -> list[float]:
    """Spread over the fifty timesteps on which LCM checkpoints were distilled (diffusers' LCMScheduler)."""
    return [model.sigmas[at] for at in _distilled("lcm", steps, model, [index * DISTILLED["lcm"] // steps for index in range(steps)])]


def _distilled(schedule: str, steps: int, model: Trained, taken: range | list[int]) -> list[int]:
    """Timesteps of a coarse grid, by how many places each lies below the last."""
    most = DISTILLED[schedule]
    if steps > most:
        raise InvalidRequest(f"schedule {schedule!r} cannot do {steps} steps; it has {most}.", "num_inference_steps")
    stride = len(model.sigmas) // most
    return [(most - index) * stride - 1 for index in taken]


SCHEDULES: Mapping[str, Callable[[int, Trained, Span], list[float]]] = {
    "karras": karras,
    "exponential": exponential,
    "polyexponential": polyexponential,
    "sgm_uniform": sgm_uniform,
    "kl_optimal": kl_optimal,
    "align_your_steps": align_your_steps,
    "simple": simple,
    "normal": normal,
    "ddim_uniform": ddim_uniform,
    "beta": beta,
    "beta_timesteps": beta_timesteps,
    "linear_quadratic": linear_quadratic,
    "turbo": turbo,
    "lcm": lcm,
}

STRETCHED = frozenset({"normal", "sgm_uniform"})
"""Schedules that end where a flow checkpoint says."""


def sigmas(
    schedule: str, steps: int, model: Trained, settings: SamplerSettings = SAMPLER_DEFAULTS, discard_penultimate: bool = False
) -> list[float]:
    """`steps` strictly falling levels and a final 0.0.

    `discard_penultimate` (of the sampler, or of the settings) takes one level more and spares the last one above 0, as A1111
    does for samplers that take it badly. Raises `UnknownName` and `InvalidRequest`.
    """
    if schedule not in SCHEDULES:
        raise UnknownName("schedule", schedule, SCHEDULES)
    if model.kind == "flow" and schedule not in FLOW_SCHEDULES:
        fitting = ", ".join((AUTOMATIC, *FLOW_SCHEDULES))
        raise InvalidRequest(f"schedule {schedule!r} does not go with a flow checkpoint; it takes: {fitting}.", "schedule")
    spare = int((discard_penultimate or settings.discard_penultimate) and schedule not in DISTILLED)
    levels = SCHEDULES[schedule](steps + spare, model, _span(model, settings))
    if isinstance(model, FlowSigmas) and schedule in STRETCHED:
        levels = model.stretched(levels)
    levels = [*levels[:steps], 0.0]
    if not all(high > low for high, low in pairwise(levels)):
        raise InvalidRequest(
            f"schedule {schedule!r} has fewer than {steps} different noise levels on this checkpoint, which was trained on "
            f"{len(model.sigmas)}; take fewer steps or another schedule.",
            "schedule",
        )
    return levels


def _span(model: Trained, settings: SamplerSettings) -> Span:
    span = Span(settings.sigma_min or model.sigma_min, settings.sigma_max or model.sigma_max, settings.rho or None)
    if span.low >= span.high:
        field = "sigma_min" if settings.sigma_min else "sigma_max"
        raise InvalidRequest(f"{field} leaves no noise levels: they would go from {span.high:g} to {span.low:g}.", field)
    if model.kind == "flow" and span.high > 1:
        raise InvalidRequest(f"sigma_max must be at most 1 for a flow checkpoint; got {span.high:g}.", "sigma_max")
    return span
