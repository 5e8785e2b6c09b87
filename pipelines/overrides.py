"""What a request says against the checkpoint: how its steps are spread, what it predicts, and whether it begins at pure noise."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .errors import InvalidRequest
from .names import AUTOMATIC, SCHEDULE_ALIASES, SchedulerSpec
from .plan import Denoise
from .request import Request
from .samplers import class_of, kind_of

WITHOUT_SAMPLE = frozenset({"PNDMScheduler"})
"""Classes of diffusers that cannot take a denoiser which tells the picture."""


def overridden(stage: Denoise, spec: SchedulerSpec, config: Mapping[str, Any], request: Request) -> tuple[Denoise, Mapping[str, Any]]:
    """The stage and the scheduler configuration of its checkpoint, as the request has them.

    `timestep_spacing` is the class's own where diffusers has a class for it, and the schedule that does the same for our
    samplers; it holds where the schedule is automatic. What is said about the denoiser is said about the job's own checkpoint,
    not about a refiner. Raises `InvalidRequest` for what a row or a checkpoint has no use for.
    """
    said: dict[str, Any] = {}
    if not stage.model:
        said |= _about_the_denoiser(spec, config, request)
    if request.timestep_spacing != AUTOMATIC and stage.schedule == AUTOMATIC:
        if kind_of(config) != "diffusion":
            raise InvalidRequest(
                _vain("timestep_spacing", f"{kind_of(config)} checkpoints, whose levels have a spacing of their own"), "timestep_spacing"
            )
        if spec.sampler:
            schedule = SCHEDULE_ALIASES[request.timestep_spacing]
            spec.check(spec.title, schedule)
            return replace(stage, schedule=schedule), _with(config, said)
        _require(spec, "timestep_spacing")
        said["timestep_spacing"] = request.timestep_spacing
    return stage, _with(config, said)


def _with(config: Mapping[str, Any], said: Mapping[str, Any]) -> Mapping[str, Any]:
    """diffusers notes which values a configuration has by default, and passes over them."""
    unset = config.get("_use_default_values")
    kept = {} if unset is None else {"_use_default_values": [name for name in unset if name not in said]}
    return {**config, **said, **kept} if said else config


def _about_the_denoiser(spec: SchedulerSpec, config: Mapping[str, Any], request: Request) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    other = kind_of(config) != "diffusion"
    if request.prediction_type != AUTOMATIC:
        if other:
            raise InvalidRequest(_vain("prediction_type", f"{kind_of(config)} checkpoints, which all tell the same"), "prediction_type")
        if request.prediction_type == "sample" and spec.cls in WITHOUT_SAMPLE:
            raise InvalidRequest(_vain("prediction_type 'sample'", f"scheduler {spec.title}"), "prediction_type")
        changed["prediction_type"] = request.prediction_type
    if request.rescale_betas_zero_snr:
        if other:
            raise InvalidRequest(
                _vain("rescale_betas_zero_snr", f"{kind_of(config)} checkpoints, which begin at pure noise anyway"),
                "rescale_betas_zero_snr",
            )
        if (changed.get("prediction_type") or config.get("prediction_type", "epsilon")) == "epsilon":
            raise InvalidRequest(
                "rescale_betas_zero_snr needs a checkpoint that predicts the velocity or the picture (prediction_type): in pure noise, "
                "knowing the noise tells nothing.",
                "rescale_betas_zero_snr",
            )
        _require(spec, "rescale_betas_zero_snr")
        changed["rescale_betas_zero_snr"] = True
    return changed


def _require(spec: SchedulerSpec, name: str) -> None:
    """Our own samplers can do all of it."""
    if spec.cls and name not in inspect.signature(class_of(spec).__init__).parameters:
        raise InvalidRequest(_vain(name, f"scheduler {spec.title}"), name)


def _vain(what: str, where: str) -> str:
    return f"{what} means nothing to {where}; leave it as it was."
