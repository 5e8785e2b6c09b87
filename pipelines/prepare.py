"""What a job's pictures have in common, made once: its plan, its prompts and its source picture."""

import logging
from collections.abc import Callable, Mapping

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from . import batching
from .components import Conditioning
from .encode import PromptCache, Source, source
from .names import SchedulerSpec, find
from .pictures import open_mask, open_rgb
from .plan import Decode, Denoise, EncodePicture, EncodePrompt, plan
from .running import JobRun
from .starts import Material

log = logging.getLogger(__name__)


def prepare(job: JobRun, prompts: PromptCache, blobs: Callable[[str], bytes], schedulers: Mapping[str, SchedulerSpec]) -> None:
    """Fills in the job's material, signature and decode stage, and the latents that an earlier try kept. Needs its components."""
    components = job.components
    assert components is not None
    conditioning: Conditioning = {}
    given: Source | None = None
    for stage in plan(job.request, components):
        match stage:
            case EncodePrompt():
                conditioning = prompts.conditioning(stage, components, job.modifiers_key)
            case EncodePicture():
                mask = None if stage.mask is None else open_mask(blobs(stage.mask))
                given = source(stage, open_rgb(blobs(stage.image)), mask, components)
            case Denoise():
                spec = find(schedulers, stage.scheduler)
                job.material = Material(stage, spec, components.scheduler_config, components.device, conditioning, given)
                job.signature = batching.signature(job.material, components)
            case Decode():
                job.decode = stage
    assert job.material is not None
    for run in job.pictures:
        run.latents = _kept(job.work.latents.get(run.picture), (1, *job.material.stage.shape))
        if run.latents is not None:
            run.kept, run.steps = True, run.steps_run


def _kept(data: bytes | None, shape: tuple[int, ...]) -> Tensor | None:
    """The latents of an earlier try; None if there are none or they cannot be used, for then they are made again."""
    try:
        latents = None if data is None else safetensors.torch.load(data)["latents"]
    except (SafetensorError, KeyError) as error:
        log.warning("Kept latents cannot be read and are made again: %s", error)
        return None
    return latents if latents is not None and latents.shape == shape and bool(torch.isfinite(latents).all()) else None
