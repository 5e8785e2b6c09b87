"""The schedulers and noise schedules on offer, by name: tables without torch, for every room.

A scheduler is either one of our own samplers (coroutines over free lists of sigmas, `sampler`) or a diffusers
class run by the adapter (`cls`, resolved where it is used). Sampler and schedule are two fields of a request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import InvalidRequest, UnknownName

AUTOMATIC = "automatic"

SCHEDULES: Mapping[str, str] = {
    AUTOMATIC: "Automatic",
    "normal": "Normal",
    "karras": "Karras",
    "exponential": "Exponential",
    "simple": "Simple",
    "sgm_uniform": "SGM Uniform",
    "beta": "Beta",
}
SIGMA_SCHEDULES = tuple(name for name in SCHEDULES if name != AUTOMATIC)


@dataclass(frozen=True)
class SchedulerSpec:
    """One row of the table.

    `title` is the name artists know (A1111's where there is one). `schedules` maps each schedule that may be chosen
    to the diffusers config it stands for (empty for our own samplers); "automatic" is always allowed and means
    `automatic` for our samplers, the class as configured here for diffusers ones.
    """

    title: str
    sampler: str | None = None
    cls: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    schedules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    automatic: str = "normal"

    def check(self, name: str, schedule: str) -> None:
        if schedule not in SCHEDULES:
            raise UnknownName("schedule", schedule, SCHEDULES)
        if schedule != AUTOMATIC and schedule not in self.schedules:
            fitting = ", ".join((AUTOMATIC, *self.schedules))
            raise InvalidRequest(f"schedule {schedule!r} does not go with scheduler {name!r}; it takes: {fitting}.", "schedule")


def _own(title: str, sampler: str, automatic: str = "normal") -> SchedulerSpec:
    return SchedulerSpec(title, sampler=sampler, schedules={name: {} for name in SIGMA_SCHEDULES}, automatic=automatic)


_SIGMAS = {
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
}

SCHEDULERS: Mapping[str, SchedulerSpec] = {
    "euler": _own("Euler", "euler"),
    "euler_a": _own("Euler a", "euler_ancestral"),
    "heun": _own("Heun", "heun"),
    "dpm2": _own("DPM2", "dpm_2", "karras"),
    "lms": _own("LMS", "lms"),
    "dpmpp_2m": _own("DPM++ 2M", "dpmpp_2m", "karras"),
    "dpmpp_sde": _own("DPM++ SDE", "dpmpp_sde", "karras"),
    "dpmpp_2m_sde": _own("DPM++ 2M SDE", "dpmpp_2m_sde", "exponential"),
    "dpmpp_3m_sde": _own("DPM++ 3M SDE", "dpmpp_3m_sde", "exponential"),
    "ddim": SchedulerSpec("DDIM", cls="DDIMScheduler", config={"clip_sample": False}),
    "ddpm": SchedulerSpec("DDPM", cls="DDPMScheduler", config={"clip_sample": False}),
    "pndm": SchedulerSpec("PLMS", cls="PNDMScheduler", config={"skip_prk_steps": True}),
    "unipc": SchedulerSpec("UniPC", cls="UniPCMultistepScheduler", schedules=_SIGMAS),
    "deis": SchedulerSpec("DEIS", cls="DEISMultistepScheduler", schedules=_SIGMAS),
    "sa_solver": SchedulerSpec("SA-Solver", cls="SASolverScheduler", schedules=_SIGMAS),
    "dpm_single": SchedulerSpec("DPM++ Singlestep", cls="DPMSolverSinglestepScheduler", schedules=_SIGMAS),
    "lcm": SchedulerSpec("LCM", cls="LCMScheduler"),
    "tcd": SchedulerSpec("TCD", cls="TCDScheduler"),
}


def find(schedulers: Mapping[str, SchedulerSpec], name: str) -> SchedulerSpec:
    try:
        return schedulers[name]
    except KeyError:
        raise UnknownName("scheduler", name, schedulers) from None
