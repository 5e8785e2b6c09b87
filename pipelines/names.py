"""The schedulers and noise schedules on offer, by name: tables without torch, for every room.

A scheduler is either one of our own samplers (coroutines over free lists of sigmas, `sampler`) or a diffusers
class run by the adapter (`cls`, resolved where it is used). Sampler and schedule are two fields of a request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from .errors import InvalidRequest, UnknownName

AUTOMATIC = "automatic"
DTYPES = ("float32", "float16", "bfloat16")
"""What a model's numbers may be loaded in."""


Kind = Literal["diffusion", "cosine", "flow"]
"""What a checkpoint was trained for: noise added to the picture, the same along a cosine of continuous time (Stable Cascade), or
mixed with it (flow matching: SD3, Flux)."""

SCHEDULES: Mapping[str, str] = {
    AUTOMATIC: "Automatic",
    "karras": "Karras",
    "exponential": "Exponential",
    "polyexponential": "Polyexponential",
    "sgm_uniform": "SGM Uniform",
    "kl_optimal": "KL Optimal",
    "align_your_steps": "Align Your Steps",
    "simple": "Simple",
    "normal": "Normal",
    "ddim_uniform": "DDIM",
    "beta": "Beta",
    "beta_timesteps": "Beta (timesteps)",
    "linear_quadratic": "Linear Quadratic",
    "turbo": "Turbo",
    "lcm": "LCM",
}
SIGMA_SCHEDULES = tuple(name for name in SCHEDULES if name != AUTOMATIC)
DISTILLED: Mapping[str, int] = {"turbo": 10, "lcm": 50}
"""Schedules over the timesteps of a distillation, and how many those are."""
FLOW_SCHEDULES = tuple(name for name in SIGMA_SCHEDULES if name not in ("align_your_steps", *DISTILLED))


@dataclass(frozen=True)
class SamplerSettings:
    """A request's fields for sampler and schedule, by the same names; the defaults leave everything to the sampler.

    `eta` below 0 is the sampler's own; 0 stands for the model's own `sigma_min` and `sigma_max`, the schedule's own `rho`, and
    no upper end of `s_tmax`.
    """

    eta: float = -1.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = 0.0
    s_noise: float = 1.0
    sigma_min: float = 0.0
    sigma_max: float = 0.0
    rho: float = 0.0
    discard_penultimate: bool = False
    eta_noise_seed_delta: int = 0

    @classmethod
    def of(cls, request: Any) -> "SamplerSettings":
        return cls(**{each.name: getattr(request, each.name) for each in fields(cls)})


SAMPLER_DEFAULTS = SamplerSettings()
LEVELS = ("sigma_min", "sigma_max", "rho", "discard_penultimate")
FRESH = ("eta", "s_noise", "eta_noise_seed_delta")
CHURN = ("s_churn", "s_tmin", "s_tmax", "s_noise", "eta_noise_seed_delta")


@dataclass(frozen=True)
class SchedulerSpec:
    """One row of the table.

    `title` is the name artists know (A1111's where there is one). `schedules` maps each schedule that may be chosen
    to the diffusers config it stands for (empty for our own samplers); "automatic" is always allowed and means
    `automatic` for our samplers unless the checkpoint asks for another, the class as configured here for diffusers ones.
    `eta` is the sampler's own share of fresh noise, `settings` are the fields of a request that have an effect on it, and
    `kinds` what checkpoints it can do. `discard_penultimate` takes one level more and spares the last one above 0. `unguided`
    says that it asks for estimates without guidance too (CFG++): the negative prompt counts then at any guidance.
    `most_guidance` is what it is made for; more burns the picture. One with `own_steps` takes as many as it needs. Where `calls` is
    not 0, prompts that change count calls of the model, and this many to a step.
    """

    title: str
    sampler: str | None = None
    cls: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    schedules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    automatic: str = "normal"
    eta: float = 0.0
    settings: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ("diffusion",)
    discard_penultimate: bool = False
    unguided: bool = False
    calls: int = 0
    most_guidance: float | None = None
    own_steps: bool = False

    def check(self, name: str, schedule: str, kind: Kind | None = None) -> None:
        """Raises `UnknownName` or `InvalidRequest` unless the schedule goes with the row, and the row with a checkpoint of that kind."""
        if schedule not in SCHEDULES:
            raise UnknownName("schedule", schedule, SCHEDULES)
        if schedule != AUTOMATIC and schedule not in self.schedules:
            fitting = ", ".join((AUTOMATIC, *self.schedules))
            raise InvalidRequest(f"schedule {schedule!r} does not go with scheduler {name!r}; it takes: {fitting}.", "schedule")
        if kind is not None and kind not in self.kinds:
            raise InvalidRequest(f"scheduler {name!r} cannot do {kind} checkpoints; take another, such as 'euler'.", "scheduler")


EVERY: tuple[Kind, ...] = ("diffusion", "cosine", "flow")
POOR_LAST = ("dpm_2", "dpm_2_ancestral", "dpmpp_3m_sde")
"""Samplers that take the last level above 0 badly; A1111 gives them one level more and spares that one."""


SECOND_ORDER = ("heun", "dpm_2", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "restart")
"""Samplers to whose steps A1111 counts two calls of the model, by which its prompts change. The last step has only one."""


def _own(
    title: str, sampler: str, automatic: str = "normal", settings: tuple[str, ...] = (), eta: float = 0.0, kinds: tuple[Kind, ...] = EVERY
) -> SchedulerSpec:
    """A row for one of our samplers, on any schedule; those of `POOR_LAST` spare a level."""
    return SchedulerSpec(
        title,
        sampler=sampler,
        schedules={name: {} for name in SIGMA_SCHEDULES},
        automatic=automatic,
        eta=eta,
        settings=(*settings, *LEVELS),
        kinds=kinds,
        discard_penultimate=sampler in POOR_LAST,
        calls=2 if sampler in SECOND_ORDER else 0,
    )


def _cfg_pp(title: str, sampler: str, automatic: str = "normal", settings: tuple[str, ...] = (), eta: float = 0.0) -> SchedulerSpec:
    """A row for one of our samplers that guides the estimate alone."""
    return replace(_own(title, sampler, automatic, settings, eta), unguided=True, most_guidance=3.0)


def _ends(title: str, sampler: str) -> SchedulerSpec:
    """A row for a sampler that takes only the ends of a schedule."""
    settings = (*FRESH, "sigma_min", "sigma_max")
    calls = 1 if sampler == "dpm_fast" else 0  # DPM adaptive calls as often as it likes
    own_steps = sampler == "dpm_adaptive"
    return SchedulerSpec(
        title, sampler=sampler, automatic="karras", settings=settings, eta=1.0, kinds=EVERY[:2], calls=calls, own_steps=own_steps
    )


_SIGMAS = {
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
}
_SDE = ("eta", "s_noise")

SCHEDULERS: Mapping[str, SchedulerSpec] = {
    # A1111's, in its order
    "dpmpp_2m": _own("DPM++ 2M", "dpmpp_2m", "karras"),
    "dpmpp_sde": _own("DPM++ SDE", "dpmpp_sde", "karras", _SDE, 1.0),
    "dpmpp_2m_sde": _own("DPM++ 2M SDE", "dpmpp_2m_sde", "exponential", _SDE, 1.0),
    "dpmpp_2m_sde_heun": _own("DPM++ 2M SDE Heun", "dpmpp_2m_sde_heun", "exponential", _SDE, 1.0),
    "dpmpp_2s_a": _own("DPM++ 2S a", "dpmpp_2s_ancestral", "karras", FRESH, 1.0),
    "dpmpp_3m_sde": _own("DPM++ 3M SDE", "dpmpp_3m_sde", "exponential", _SDE, 1.0),
    "euler_a": _own("Euler a", "euler_ancestral", "normal", FRESH, 1.0),
    "euler": _own("Euler", "euler", "normal", CHURN),
    "lms": _own("LMS", "lms"),
    "heun": _own("Heun", "heun", "normal", CHURN),
    "dpm2": _own("DPM2", "dpm_2", "karras", CHURN),
    "dpm2_a": _own("DPM2 a", "dpm_2_ancestral", "karras", FRESH, 1.0),
    "dpm_fast": _ends("DPM fast", "dpm_fast"),
    "dpm_adaptive": _ends("DPM adaptive", "dpm_adaptive"),
    "restart": _own("Restart", "restart", "karras", ("s_noise", "eta_noise_seed_delta"), kinds=EVERY[:2]),
    "ddim": SchedulerSpec("DDIM", cls="DDIMScheduler", config={"clip_sample": False}, settings=("eta",)),
    "ddim_cfg_pp": replace(_own("DDIM CFG++", "ddim_cfg_pp", "ddim_uniform", FRESH), unguided=True),
    "pndm": SchedulerSpec("PLMS", cls="PNDMScheduler", config={"skip_prk_steps": True}),
    "unipc": SchedulerSpec("UniPC", cls="UniPCMultistepScheduler", schedules=_SIGMAS),
    "lcm": _own("LCM", "lcm", "lcm", ("s_noise", "eta_noise_seed_delta")),
    # ComfyUI's and diffusers'
    "heunpp2": _own("Heun++ 2", "heunpp2", "normal", CHURN),
    "exp_heun_2_x0": _own("Exponential Heun", "exp_heun_2_x0", "karras", FRESH, 0.0),
    "exp_heun_2_x0_sde": _own("Exponential Heun SDE", "exp_heun_2_x0", "karras", FRESH, 1.0),
    "ipndm": _own("iPNDM", "ipndm", "normal"),
    "res_multistep": _own("RES multistep", "res_multistep", "karras", FRESH, 0.0),
    "res_multistep_a": _own("RES multistep a", "res_multistep", "karras", FRESH, 1.0),
    "gradient_estimation": _own("Gradient estimation", "gradient_estimation"),
    "er_sde": _own("ER-SDE", "er_sde", "karras", ("s_noise", "eta_noise_seed_delta")),
    "seeds_2": _own("SEEDS-2", "seeds_2", "karras", FRESH, 1.0),
    "seeds_3": _own("SEEDS-3", "seeds_3", "karras", FRESH, 1.0),
    "euler_cfg_pp": _cfg_pp("Euler CFG++", "euler_cfg_pp", "normal", FRESH),
    "euler_a_cfg_pp": _cfg_pp("Euler a CFG++", "euler_cfg_pp", "normal", FRESH, 1.0),
    "dpmpp_2s_a_cfg_pp": _cfg_pp("DPM++ 2S a CFG++", "dpmpp_2s_ancestral_cfg_pp", "karras", FRESH, 1.0),
    "dpmpp_2m_cfg_pp": _cfg_pp("DPM++ 2M CFG++", "dpmpp_2m_cfg_pp", "karras"),
    "res_multistep_cfg_pp": _cfg_pp("RES multistep CFG++", "res_multistep_cfg_pp", "karras", FRESH),
    "res_multistep_a_cfg_pp": _cfg_pp("RES multistep a CFG++", "res_multistep_cfg_pp", "karras", FRESH, 1.0),
    "gradient_estimation_cfg_pp": _cfg_pp("Gradient estimation CFG++", "gradient_estimation_cfg_pp"),
    "ddpm": SchedulerSpec("DDPM", cls="DDPMScheduler", config={"clip_sample": False}),
    "deis": SchedulerSpec("DEIS", cls="DEISMultistepScheduler", schedules=_SIGMAS),
    "sa_solver": SchedulerSpec("SA-Solver", cls="SASolverScheduler", schedules=_SIGMAS),
    "dpm_single": SchedulerSpec("DPM++ Singlestep", cls="DPMSolverSinglestepScheduler", schedules=_SIGMAS),
    "tcd": SchedulerSpec("TCD", cls="TCDScheduler", settings=("eta",)),
    "wuerstchen": SchedulerSpec("DDPM Würstchen", cls="pipelines.samplers.wuerstchen:DDPMWuerstchenScheduler", kinds=("cosine",)),
}


def find(schedulers: Mapping[str, SchedulerSpec], name: str) -> SchedulerSpec:
    try:
        return schedulers[name]
    except KeyError:
        raise UnknownName("scheduler", name, schedulers) from None


def needs_negative(scheduler: str) -> bool:
    """Whether the negative prompt counts also where guidance would switch it off."""
    return scheduler in SCHEDULERS and SCHEDULERS[scheduler].unguided


# -- names from elsewhere -------------------------------------------------------------------------------------------------

ALIASES: Mapping[str, str] = {
    "euler ancestral": "euler_a", "dpm 2": "dpm2", "dpm 2 a": "dpm2_a", "dpm 2 ancestral": "dpm2_a", "kdpm 2": "dpm2", "kdpm 2 a": "dpm2_a",
    "dpm ad": "dpm_adaptive", "dpmpp 2s ancestral": "dpmpp_2s_a", "dpmpp 2s": "dpmpp_2s_a", "dpm solverpp": "dpmpp_2m", "plms": "pndm",
    "uni pc": "unipc", "uni pc bh2": "unipc", "heunpp": "heunpp2", "ipndm v": "lms", "res multistep ancestral": "res_multistep_a",
    "er sde": "er_sde", "dpm solver singlestep": "dpm_single", "euler ancestral cfg pp": "euler_a_cfg_pp",
    "dpmpp 2s ancestral cfg pp": "dpmpp_2s_a_cfg_pp", "res multistep ancestral cfg pp": "res_multistep_a_cfg_pp",
}  # fmt: skip
"""Other programs' names as `_plain` writes them. ComfyUI's ipndm_v is meant to be LMS; a misplaced bracket makes it another."""

CLASSES: Mapping[str, tuple[str, str | None]] = {
    "EulerDiscrete": ("euler", None), "EulerAncestralDiscrete": ("euler_a", None), "HeunDiscrete": ("heun", None),
    "LMSDiscrete": ("lms", None), "KDPM2Discrete": ("dpm2", None), "KDPM2AncestralDiscrete": ("dpm2_a", None),
    "DPMSolverMultistep": ("dpmpp_2m", None), "DPMSolverSinglestep": ("dpm_single", None), "DPMSolverSDE": ("dpmpp_sde", None),
    "DDIM": ("ddim", None), "DDPM": ("ddpm", None), "PNDM": ("pndm", None), "UniPCMultistep": ("unipc", None),
    "DEISMultistep": ("deis", None), "SASolver": ("sa_solver", None), "LCM": ("lcm", None), "TCD": ("tcd", None),
    "IPNDM": ("ipndm", None), "FlowMatchEulerDiscrete": ("euler", None), "FlowMatchHeunDiscrete": ("heun", None),
    "FlowMatchLCM": ("lcm", "sgm_uniform"), "EDMEuler": ("euler", "karras"), "EDMDPMSolverMultistep": ("dpmpp_2m", "karras"),
    "DDPMWuerstchen": ("wuerstchen", None),
}  # fmt: skip
"""diffusers' scheduler classes, without the last word, and what does the same here."""

SCHEDULE_ALIASES: Mapping[str, str] = {
    "uniform": "normal", "ka": "karras", "k": "karras", "ddim": "ddim_uniform", "sgmuniform": "sgm_uniform", "ays": "align_your_steps",
    "linspace": "normal", "trailing": "simple", "leading": "ddim_uniform", "poly exponential": "polyexponential",
}  # fmt: skip


def _plain(name: str) -> str:
    """Lower case, single blanks, "pp" for "++": so "DPM++ 2M" and "dpmpp_2m" are one name."""
    words = name.casefold().replace("++", "pp").replace("_", " ").replace("-", " ").split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in ("k", "sample") else words)


def resolve_schedule(name: str) -> str:
    """The schedule that another program calls `name`; raises `UnknownName`."""
    known = {_plain(title): own for own, title in SCHEDULES.items()} | {_plain(own): own for own in SCHEDULES}
    found = known.get(_plain(name)) or SCHEDULE_ALIASES.get(_plain(name))
    if found is None:
        raise UnknownName("schedule", name, SCHEDULES)
    return found


def resolve(name: str, schedulers: Mapping[str, SchedulerSpec] = SCHEDULERS) -> tuple[str, str | None]:
    """Scheduler and schedule that another program calls `name`; no schedule where the name says none.

    Understands titles, ComfyUI's and k-diffusion's names, diffusers' classes and joint names such as "DPM++ 2M Karras", in any
    case. Raises `UnknownName`. Whether the schedule goes with the scheduler is for `SchedulerSpec.check` to say.
    """
    known = {_plain(spec.title): own for own, spec in schedulers.items()} | {_plain(own): own for own in schedulers}
    known = {alias: own for alias, own in ALIASES.items() if own in schedulers} | known
    classes = {cls.casefold(): pair for cls, pair in CLASSES.items() if pair[0] in schedulers}
    plain = _plain(name).removesuffix(" gpu")
    if plain in known:
        return known[plain], None
    if (cls := plain.removesuffix("scheduler")) in classes and cls != plain:
        return classes[cls]
    words = plain.split()
    for cut in range(len(words) - 1, 0, -1):
        scheduler = known.get(" ".join(words[:cut]))
        if scheduler is not None:
            try:
                return scheduler, resolve_schedule(" ".join(words[cut:]))
            except UnknownName:
                continue
    raise UnknownName("scheduler", name, schedulers)
