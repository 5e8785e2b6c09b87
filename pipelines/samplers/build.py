"""A fresh diffusers scheduler for one run, from a row of the table and the checkpoint's own configuration."""

import inspect
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

import diffusers
import torch

from pipelines.errors import CheckpointError, InvalidRequest, UnknownName
from pipelines.names import AUTOMATIC, SchedulerSpec

from .flow import kind_of

SIGMA_FLAGS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")


def build_scheduler(spec: SchedulerSpec, scheduler_config: Mapping[str, Any], schedule: str = AUTOMATIC) -> Any:
    """A scheduler of `spec.cls` (of diffusers, or "module:class") that belongs to one run (it carries state).

    The checkpoint's configuration comes first, then the row's, then the schedule's. `automatic` keeps the checkpoint's own
    spacing, so that the run equals diffusers' pipelines. A chosen schedule replaces it: one of the sigma flags, and
    "linspace" spacing, without which a checkpoint that says "leading" would start below its largest sigma. Raises
    `UnknownName`, `InvalidRequest` (the schedule does not go with the row) and `CheckpointError`.
    """
    cls = class_of(spec)
    spec.check(spec.title, schedule, kind_of(scheduler_config))
    overrides = dict(spec.config)
    if schedule != AUTOMATIC:
        chosen = {flag: False for flag in SIGMA_FLAGS} | {"timestep_spacing": "linspace"}
        overrides = chosen | overrides | dict(spec.schedules[schedule])
    known = inspect.signature(cls.__init__).parameters
    overrides = {name: value for name, value in overrides.items() if name in known}
    try:
        return cls.from_config(dict(scheduler_config), **overrides)
    except (NotImplementedError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{spec.title} cannot work with this checkpoint's scheduler settings: {error}") from None


def class_of(spec: SchedulerSpec) -> Any:
    """The class of a row that is no sampler of ours; raises `UnknownName`."""
    cls = resolve_name(spec.cls) if spec.cls and ":" in spec.cls else getattr(diffusers, spec.cls or "", None)
    if not (inspect.isclass(cls) and issubclass(cls, diffusers.SchedulerMixin)):
        raise UnknownName("scheduler class", spec.cls, (name for name in dir(diffusers) if name.endswith("Scheduler")))
    return cls


def set_steps(scheduler: Any, steps: int, first: int = 0, last: int | None = None, device: torch.device | str = "cpu") -> torch.Tensor:
    """Sets `steps` timesteps and returns those of the steps from `first` to `last` (exclusive; None: to the end).

    Cut as diffusers' pipelines cut; `scheduler.add_noise` puts a picture at the first of them. Raises `InvalidRequest`
    for a number of steps that the class cannot do.
    """
    try:
        scheduler.set_timesteps(steps, device=device)
    except ValueError as error:
        raise InvalidRequest(f"{type(scheduler).__name__} cannot do {steps} steps: {error}", "num_inference_steps") from None
    begin = first * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        # also from noise: where rounding made two timesteps equal, a search by timestep would start at the second
        scheduler.set_begin_index(begin)
    return scheduler.timesteps[begin : None if last is None or last == steps else last * scheduler.order]
