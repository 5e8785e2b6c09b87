"""A job takes hold of the models that it needs, and its stages are planned for them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from .components import Components
from .families import Family
from .modifiers import Modifier
from .names import AUTOMATIC
from .plan import Stages, enlarging, models_of, plan
from .request import Upscale
from .running import JobRun

if TYPE_CHECKING:
    from .manager import PipelineManager

_NO_FAMILY = Family("", "no model", (0, 0), frozenset(), "", "", (), ())


def hold(job: JobRun, manager: "PipelineManager", known: Mapping[str, Modifier]) -> Stages:
    """Acquires what the job needs until it is released (`JobRun.pins`), and gives its stages. A job that asks nothing of a checkpoint,
    such as an upscaling that redraws nothing, has none read, and its modifiers change nothing. Raises `StudioError`."""
    request = job.request
    if isinstance(request, Upscale) and not request.ability:
        job.models[""] = _without_models(manager.device)
        return enlarging(request)
    components = job.pins.enter_context(manager.acquire(request.checkpoint, request.vae))
    stages = components.family.staged(plan(request, components), request, components)
    for name, params in job.modifiers.items():
        stages = known[name].replan(stages, request, params, components)
    job.models[""] = components
    for other in models_of(stages):
        job.models[other] = job.pins.enter_context(manager.acquire(other))
    return stages


def _without_models(device: torch.device) -> Components:
    return Components("", AUTOMATIC, _NO_FAMILY, {}, {}, {}, device, torch.float32)
