"""How near each sampler is to its reference, measured: the rows of docs/samplers.md.

python -m tests.pipelines.samplers.parity       # writes the page anew
"""

import functools
import inspect
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import LCMScheduler
from torch import Tensor

from pipelines.names import SCHEDULERS, SchedulerSpec, resolve
from pipelines.samplers import SCHEDULES, ModelSigmas, Settings, adapt, build_scheduler, levels_of, sample, set_steps
from pipelines.samplers.noise import BROWNIAN, independent
from pipelines.samplers.run import SAMPLERS
from tests.toys import toy_components

from . import formulas
from .k_diffusion_oracle import sampling
from .mixture import SD, centres, clean, difference, drive, model_output
from .parity_words import A1111, COMFY, ELSEWHERE, WUERSTCHEN

STEPS, TOY_STEPS = 20, 6
STRENGTH = 1.5
SHAPE, TOY_SHAPE = (1, 4, 4, 4), (1, 4, 8, 8)
MODEL = ModelSigmas.from_config(SD, "sd1")
TOO_SHORT = ("turbo",)
"""Schedules of fewer than 20 steps."""

OWN_STEPS = ("dpm_fast", "dpm_adaptive")
K_DIFFUSION = {  # by our name: k-diffusion's, what it is told besides, and whether it takes a source of noise
    "euler": ("euler", {}, False),
    "euler_ancestral": ("euler_ancestral", {}, True),
    "heun": ("heun", {}, False),
    "dpm_2": ("dpm_2", {}, False),
    "dpm_2_ancestral": ("dpm_2_ancestral", {}, True),
    "lms": ("lms", {}, False),
    "dpm_fast": ("dpm_fast", {"eta": 1.0}, True),
    "dpm_adaptive": ("dpm_adaptive", {"eta": 1.0}, True),
    "dpmpp_2s_ancestral": ("dpmpp_2s_ancestral", {}, True),
    "dpmpp_sde": ("dpmpp_sde", {}, True),
    "dpmpp_2m": ("dpmpp_2m", {}, False),
    "dpmpp_2m_sde": ("dpmpp_2m_sde", {}, True),
    "dpmpp_2m_sde_heun": ("dpmpp_2m_sde", {"solver_type": "heun"}, True),
    "dpmpp_3m_sde": ("dpmpp_3m_sde", {}, True),
}
RES = ("dpmpp_2m_sde", {"eta": 0.0, "solver_type": "heun"}, True)
"""Without noise RES and this one are the same solver, found twice."""

Denoiser = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class Row:
    """One sampler: `exact` on a denoiser that is known exactly (double precision), `toy` on a toy Stable Diffusion (single);
    both the largest over its schedules, None where there is nothing to measure."""

    name: str
    spec: SchedulerSpec
    reference: str
    calls: float
    fresh: str
    exact: float | None
    toy: float | None

    @property
    def a1111(self) -> str:
        return self.spec.title if self.spec.title in A1111 else ""

    @property
    def comfy(self) -> tuple[str, ...]:
        return tuple(name for name in COMFY if resolve(name)[0] == self.name and name != "ipndm_v")


# -- denoisers ----------------------------------------------------------------------------------------------------------


def guided(x: Tensor, sigma: float) -> Tensor:
    """Guided towards one of the centres, for CFG++."""
    unguided = clean(x, sigma)
    return unguided + STRENGTH * (centres()[:1].to(x) - unguided)


@functools.cache
def toy() -> tuple[Denoiser, Denoiser]:
    """The clean estimates of a toy Stable Diffusion, guided and unguided."""
    with tempfile.TemporaryDirectory() as folder:
        unet = toy_components(Path(folder) / "tokenizer")["unet"]
    states = torch.randn((2, 77, 16), generator=torch.Generator().manual_seed(5))

    def estimate(x: Tensor, sigma: float, row: int) -> Tensor:
        with torch.no_grad():
            output = unet(MODEL.model_input(x, sigma), torch.tensor(MODEL.timestep(sigma)), states[row : row + 1]).sample
        return MODEL.denoised(output, x, sigma)

    def unguided(x: Tensor, sigma: float) -> Tensor:
        return estimate(x, sigma, 0)

    return lambda x, sigma: unguided(x, sigma) + STRENGTH * (estimate(x, sigma, 1) - unguided(x, sigma)), unguided


# -- one run of each ----------------------------------------------------------------------------------------------------


def start(levels: list[float], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=dtype) * levels[0]


def stream(x: Tensor) -> Callable[[float, float], Tensor]:
    return independent(x, torch.Generator().manual_seed(11))


def ours(spec: SchedulerSpec, x: Tensor, levels: list[float], denoise: Denoiser, unguided: Denoiser) -> tuple[Tensor, int]:
    """The result, and how often it asked."""
    asked = []

    def answer(ask: object) -> Tensor:
        asked.append(1)
        estimate = denoise(ask.x, ask.sigma)
        return torch.cat([estimate, unguided(ask.x, ask.sigma)]) if ask.unguided else estimate

    assert spec.sampler is not None
    return drive(SAMPLERS[spec.sampler](x, levels, stream(x), Settings(eta=spec.eta)), answer)[0], len(asked)


def k_diffusion(told: tuple[str, dict, bool], x: Tensor, levels: list[float], denoise: Denoiser) -> Tensor:
    function, extra, noisy = told
    noise = stream(x)
    extra = dict(extra) | ({"noise_sampler": lambda sigma, later: noise(float(sigma), float(later))} if noisy else {})
    if function in OWN_STEPS:
        extra |= {"sigma_min": levels[-2], "sigma_max": levels[0]} | ({"n": len(levels) - 1} if function == "dpm_fast" else {})
    else:
        extra["sigmas"] = torch.tensor(levels, dtype=x.dtype)
    return getattr(sampling(), f"sample_{function}")(lambda x, sigma: denoise(x, float(sigma[0])), x, disable=True, **extra)


def formula(spec: SchedulerSpec, x: Tensor, levels: list[float], denoise: Denoiser, unguided: Denoiser) -> Tensor:
    written = getattr(formulas, spec.sampler)
    told = {"eta": spec.eta} if "eta" in inspect.signature(written).parameters else {}
    pair = (lambda x, sigma: (denoise(x, sigma), unguided(x, sigma))) if spec.unguided else denoise
    return written(pair, x, levels, stream(x), **told)


def reference(spec: SchedulerSpec) -> tuple[str, Callable[..., Tensor]]:
    """What a sampler of ours is compared with: k-diffusion, or else its formula written out plainly in `formulas`."""
    if spec.sampler in K_DIFFUSION:
        told = K_DIFFUSION[spec.sampler]
        return f"k-diffusion `{told[0]}`{', heun' if 'solver_type' in told[1] else ''}", lambda x, levels, denoise, unguided: k_diffusion(
            told, x, levels, denoise
        )
    if spec.sampler == "res_multistep" and not spec.eta:
        return "k-diffusion `dpmpp_2m_sde`, eta 0, heun", lambda x, levels, denoise, unguided: k_diffusion(RES, x, levels, denoise)
    if hasattr(formulas, spec.sampler):
        return "the formula written out", functools.partial(formula, spec)
    raise LookupError(spec.sampler)


def measured(spec: SchedulerSpec, schedules: list[str], steps: int, denoisers: tuple[Denoiser, Denoiser], toy: bool) -> tuple[float, int]:
    """The largest relative difference over the schedules, and the calls of the last."""
    worst, calls = 0.0, 0
    for schedule in schedules:
        _, levels = levels_of(spec, schedule, steps, MODEL)
        x = start(levels, TOY_SHAPE if toy else SHAPE, torch.float32 if toy else torch.float64)
        result, calls = ours(spec, x, levels, *denoisers)
        worst = max(worst, difference(result, reference(spec)[1](x, levels, *denoisers)))
    return worst, calls


# -- diffusers ----------------------------------------------------------------------------------------------------------


def loops(spec: SchedulerSpec, schedule: str) -> tuple[float, int]:
    """A scheduler's class by the adapter and in the loop of diffusers' pipelines."""
    results, asked = [], []
    for adapted in (True, False):
        scheduler, generator = build_scheduler(spec, SD, schedule), torch.Generator().manual_seed(5)
        timesteps = set_steps(scheduler, STEPS)
        x = torch.randn(SHAPE, generator=generator) * scheduler.init_noise_sigma
        if adapted:
            run = adapt(scheduler, x, timesteps, generator)
            x, _ = drive(run, lambda ask: asked.append(1) or model_output(ask.latents, float(ask.timestep), MODEL))
        else:
            accepted = inspect.signature(scheduler.step).parameters
            extra = {name: value for name, value in {"eta": 0.0, "generator": generator}.items() if name in accepted}
            for timestep in timesteps:
                output = model_output(scheduler.scale_model_input(x, timestep), float(timestep), MODEL)
                x = scheduler.step(output, timestep, x, **extra, return_dict=False)[0]
        results.append(x)
    return difference(*results), len(asked)


def lcm() -> float:
    """Ours and diffusers' LCMScheduler at its own timesteps."""
    worst = 0.0
    for steps in (1, 4, 8):
        scheduler, generator = LCMScheduler.from_config(SD), torch.Generator().manual_seed(11)
        _, levels = levels_of(SCHEDULERS["lcm"], "automatic", steps, MODEL)
        x = start(levels, SHAPE, torch.float64)
        run = adapt(scheduler, x / (1 + levels[0] ** 2) ** 0.5, set_steps(scheduler, steps), generator)
        theirs, _ = drive(run, lambda ask: model_output(ask.latents, float(ask.timestep), MODEL))
        mine, _ = drive(sample(SCHEDULERS["lcm"], MODEL, x, levels, torch.Generator().manual_seed(11)), lambda ask: clean(ask.x, ask.sigma))
        worst = max(worst, difference(mine, theirs))
    return worst


# -- rows ---------------------------------------------------------------------------------------------------------------


def fresh(name: str, spec: SchedulerSpec) -> str:
    """Whether it draws noise on the way, and how."""
    if spec.cls:
        return {
            "DDPMScheduler": "yes",
            WUERSTCHEN: "yes",
            "SASolverScheduler": "yes",
            "DDIMScheduler": "with eta",
            "TCDScheduler": "with eta",
        }.get(spec.cls, "no")
    if spec.sampler in BROWNIAN:
        return "Brownian"
    always = spec.eta > 0 or name in ("lcm", "er_sde", "restart")
    return "yes" if always else "with eta" if "eta" in spec.settings else "with churn" if "s_churn" in spec.settings else "no"


def row(name: str) -> Row:
    spec = SCHEDULERS[name]
    if name in ELSEWHERE:
        return Row(name, spec, ELSEWHERE[name], 1, fresh(name, spec), None, None)
    if spec.cls:
        found = [loops(spec, schedule) for schedule in ("automatic", *spec.schedules)]
        worst, calls = max(found)[0], found[0][1]
        return Row(name, spec, f"diffusers' own loop over `{spec.cls}`", calls / STEPS, fresh(name, spec), None, worst)
    if name == "lcm":
        return Row(name, spec, "diffusers' `LCMScheduler`", 1, fresh(name, spec), lcm(), None)
    ends = spec.sampler in OWN_STEPS
    every = ["automatic"] if ends else [schedule for schedule in SCHEDULES if schedule not in TOO_SHORT]
    exact, calls = measured(spec, every, STEPS, (guided if spec.unguided else clean, clean), toy=False)
    some = ["automatic"] if ends else ["karras", "normal"]
    # the adaptive one takes an untrained network's answers for a reason to go in ever smaller steps
    single = None if name == "dpm_adaptive" else measured(spec, some, TOY_STEPS, toy(), toy=True)[0]
    return Row(name, spec, reference(spec)[0], calls / STEPS, fresh(name, spec), exact, single)


@functools.cache
def rows() -> tuple[Row, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what diffusers does with NumPy 2
        return tuple(row(name) for name in SCHEDULERS)


if __name__ == "__main__":
    from .parity_page import PAGE, render

    PAGE.write_text(render(), encoding="utf-8")
