"""What a job's pictures have in common, made once: its plan, its prompts and its source picture."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from . import batching
from .components import Components
from .conditioning import PromptCache
from .encode import Scaling, source
from .errors import InvalidRequest
from .names import SchedulerSpec, find
from .noise import Starting
from .openings import Opening, opening
from .overrides import overridden
from .pictures import MAX_PIXELS, open_rgb
from .plan import EDITED_IN_CHANNELS, Denoise, EncodePicture, EncodePrompt, Enlarge, EnlargePicture, OpenClip, Stage, Stages
from .repaint import laid_out, rounds_of
from .request import Img2Img
from .rounds import tiles
from .running import JobRun
from .starts import Material, Outcome, Pass, Told, step_of
from .transfer import to_main
from .upscalers.sizes import enlarged

log = logging.getLogger(__name__)


def prepare(
    job: JobRun, stages: Stages, prompts: PromptCache, blobs: Callable[[str], bytes], schedulers: Mapping[str, SchedulerSpec]
) -> None:
    """Fills in the job's material and signature, and the latents that an earlier try kept. Needs its models."""
    assert job.components is not None
    told: dict[str, tuple[Told, ...]] = {}
    given: dict[str, Any] = {}  # what the material has of a picture to start from
    enlarge: Enlarge | None = None
    begins: Opening | None = None
    passes: list[Pass] = []
    for place, stage in enumerate(stages):
        match stage:
            case EncodePrompt():
                stage = counted(stage, stages[place + 1 :], stages[:place], schedulers)
                told[stage.model] = prompts.told(stage, job.models[stage.model], job.modifiers_key)
            case EncodePicture():
                given = _given(job, stage, blobs)
            case EnlargePicture():
                given = _larger(stage, blobs)
            case OpenClip():
                begins, of_it = opening(stage, open_rgb(blobs(stage.image)), job.components)
                told[""] = (of_it,)
            case Enlarge():
                enlarge = stage
            case Denoise():
                spec = find(schedulers, stage.scheduler)
                model = job.models[stage.model]
                if passes and stage.known == EDITED_IN_CHANNELS:
                    raise InvalidRequest(f"checkpoint {model.checkpoint!r} edits pictures, and does so in one pass.", "modifiers")
                stage, config = overridden(stage, spec, model.scheduler_config, job.request)
                one = Pass(stage, spec, config, told[stage.model], enlarge, model.family.name, begins)
                if stage.start == "continued":
                    require_same_latents(model, job.components)
                    passes = [*passes[:-1], *continued(passes[-1], one, job.components.device)]
                else:
                    passes.append(one)
                enlarge = None
    if not passes:
        given["rounds"] = ()
    scale = job.components.vae_scale_factor if passes else 1  # there may be no model at all
    job.material = Material(tuple(passes), job.components.device, noise=Starting.of(job.request, scale), **given)
    job.signature = batching.expected(job.material, job.components)
    job.begin(job.material)
    for run in job.pictures:
        kept = _kept(job.work.latents.get(run.picture), job.material.shape, 0 if job.material.larger else len(job.material.rounds))
        if kept is not None:
            run.outcome = Outcome(kept, None)
            run.kept, run.steps = True, run.steps_run


def _larger(stage: EnlargePicture, blobs: Callable[[str], bytes]) -> dict[str, Any]:
    """The canvas, what it grows to, and the tiles of that. Raises `BadPicture`, `InvalidRequest`."""
    canvas = open_rgb(blobs(stage.image))
    size = enlarged(canvas.size, stage.scale, MAX_PIXELS, "scale")
    rounds = tiles(size, (stage.width, stage.height), stage.overlap)
    picture = EncodePicture(stage.width, stage.height)
    return {"rounds": rounds, "canvas": canvas, "picture": picture, "larger": (stage.upscaler, size)}


def _given(job: JobRun, stage: EncodePicture, blobs: Callable[[str], bytes]) -> dict[str, Any]:
    """The canvas, its rounds, and what the first of them starts from. Raises `BadPicture`."""
    assert isinstance(job.request, Img2Img) and job.components is not None
    canvas, mask = laid_out(job.request, blobs)
    rounds = rounds_of(job.request, mask)
    return {"rounds": rounds, "canvas": canvas, "picture": stage, "source": source(stage, rounds[0], canvas, job.components)}


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
    each = first.spec.calls or 1
    before, total = each * (cut - begin), each * (end - begin)
    return (
        replace(first, stage=replace(first.stage, last=cut), told=_between(first.told, 0, before), total=total),
        replace(then, stage=stage, told=_between(then.told, before, total), scheduler_config=config, before=before, total=total),
    )


def counted(stage: EncodePrompt, after: Sequence[Stage], before: Sequence[Stage], schedulers: Mapping[str, SchedulerSpec]) -> EncodePrompt:
    """The stage with its steps in calls of the model, where the sampler of its pass, and that of the one before, has it so."""

    def calls(stages: Sequence[Stage]) -> int:
        passes = (one for one in stages if isinstance(one, Denoise) and one.model == stage.model)
        found = next(passes, None)
        return 1 if found is None else find(schedulers, found.scheduler).calls or 1

    steps_before = None if stage.steps_before is None else stage.steps_before * calls(before[::-1])
    return replace(stage, steps=stage.steps * calls(after), steps_before=steps_before)


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


def to_keep(outcome: Outcome) -> bytes:
    """safetensors bytes of all latents of a picture, at least one: "latents" of its last round, "latents.0"... of those before."""
    names = [*(f"latents.{index}" for index in range(len(outcome.latents) - 1)), "latents"]
    return safetensors.torch.save({name: to_main(each.float()).contiguous() for name, each in zip(names, outcome.latents, strict=True)})


def _kept(data: bytes | None, shape: tuple[int, ...], rounds: int) -> tuple[Tensor, ...] | None:
    """The latents of an earlier try; None if there are none or they cannot be used, for then they are made again."""
    if data is None or not rounds:
        return None
    try:
        found = safetensors.torch.load(data)
        latents = (*(found[f"latents.{index}"] for index in range(rounds - 1)), found["latents"])
    except (SafetensorError, KeyError) as error:
        log.warning("Kept latents cannot be read and are made again: %s", error)
        return None
    return latents if all(each.shape[1:] == shape and bool(torch.isfinite(each).all()) for each in latents) else None
