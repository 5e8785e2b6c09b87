"""What a job's pictures have in common, made once: its plan, its prompts and its source picture."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from . import batching
from .components import Components
from .conditioning import PromptCache
from .encode import Scaling, Source, source
from .errors import InvalidRequest
from .names import SchedulerSpec, find
from .pictures import open_mask, open_rgb
from .plan import EDITED_IN_CHANNELS, Decode, Denoise, EncodePicture, EncodePrompt, Enlarge, Stages
from .running import JobRun
from .starts import Material, Pass, Told, step_of

log = logging.getLogger(__name__)


def prepare(
    job: JobRun, stages: Stages, prompts: PromptCache, blobs: Callable[[str], bytes], schedulers: Mapping[str, SchedulerSpec]
) -> None:
    """Fills in the job's material, signature and decode stage, and the latents that an earlier try kept. Needs its models."""
    assert job.components is not None
    told: dict[str, tuple[Told, ...]] = {}
    given: Source | None = None
    enlarge: Enlarge | None = None
    passes: list[Pass] = []
    for stage in stages:
        match stage:
            case EncodePrompt():
                told[stage.model] = prompts.told(stage, job.models[stage.model], job.modifiers_key)
            case EncodePicture():
                mask = None if stage.mask is None else open_mask(blobs(stage.mask))
                given = source(stage, open_rgb(blobs(stage.image)), mask, job.components)
            case Enlarge():
                enlarge = stage
            case Denoise():
                spec = find(schedulers, stage.scheduler)
                model = job.models[stage.model]
                if passes and stage.known == EDITED_IN_CHANNELS:
                    raise InvalidRequest(f"checkpoint {model.checkpoint!r} edits pictures, and does so in one pass.", "modifiers")
                given = given if not passes else None
                one = Pass(stage, spec, model.scheduler_config, told[stage.model], given, enlarge, model.family.name)
                if stage.start == "continued":
                    require_same_latents(model, job.components)
                    passes = [*passes[:-1], *continued(passes[-1], one, job.components.device)]
                else:
                    passes.append(one)
                enlarge = None
            case Decode():
                job.decode = stage
    job.material = Material(tuple(passes), job.components.device)
    job.signature = batching.expected(job.material, job.components)
    job.begin(job.material)
    for run in job.pictures:
        run.latents = _kept(job.work.latents.get(run.picture), (1, *job.material.shape))
        if run.latents is not None:
            run.kept, run.steps = True, run.steps_run


def continued(first: Pass, then: Pass, device: torch.device) -> tuple[Pass, ...]:
    """The pass `first` up to where `then` takes over, and `then` from there on; one of them alone where no step is left for the
    other. Both go by the levels of the first, whatever the second was trained on; prompts change by the steps of both."""
    config = {**first.scheduler_config, "prediction_type": then.scheduler_config.get("prediction_type", "epsilon")}
    begin, end = first.stage.first, first.stage.last
    cut = min(max(step_of(first, then.stage.since, device), begin), end)
    if cut == end:
        return (first,)
    stage = replace(then.stage, first=cut, last=end)
    if cut == begin:
        whole = replace(stage, start=first.stage.start, known=first.stage.known)
        return (replace(first, stage=whole, told=then.told, scheduler_config=config, family=then.family),)
    return (
        replace(first, stage=replace(first.stage, last=cut), told=_between(first.told, 0, cut - begin)),
        replace(then, stage=stage, told=_between(then.told, cut - begin, end - begin), scheduler_config=config),
    )


def _between(told: Sequence[Told], begin: int, end: int) -> tuple[Told, ...]:
    """What holds from step `begin` to `end`, counted anew; see `Guidance.at` for which steps an end takes in."""
    before = (-1, *(one.until for one in told))
    kept = [replace(one, until=one.until - begin) for one, last in zip(told, before, strict=False) if one.until >= begin and last < end - 1]
    return (*kept[:-1], replace(kept[-1], until=end - begin))


def require_same_latents(model: Components, first: Components) -> None:
    """Raises `InvalidRequest` unless `model` can go on from latents of `first`."""
    kinds = [(Scaling.of_vae(one.vae), one.latent_channels, one.vae_scale_factor, one.family.noise) for one in (model, first)]
    if kinds[0] != kinds[1]:
        raise InvalidRequest(
            f"checkpoint {model.checkpoint!r} ({model.family.title}) cannot go on from latents of {first.checkpoint!r} "
            f"({first.family.title}): they mean different pictures.",
            "modifiers",
        )
    taken = int(model.denoiser.config.in_channels)
    if taken != model.latent_channels:
        raise InvalidRequest(f"checkpoint {model.checkpoint!r} takes {taken} channels, and cannot go on from another.", "modifiers")


def _kept(data: bytes | None, shape: tuple[int, ...]) -> Tensor | None:
    """The latents of an earlier try; None if there are none or they cannot be used, for then they are made again."""
    try:
        latents = None if data is None else safetensors.torch.load(data)["latents"]
    except (SafetensorError, KeyError) as error:
        log.warning("Kept latents cannot be read and are made again: %s", error)
        return None
    return latents if latents is not None and latents.shape == shape and bool(torch.isfinite(latents).all()) else None
