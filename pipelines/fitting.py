"""What of a request suits a checkpoint: the schedules it can be sampled along, and the fields that have no effect on it. Free of torch."""

from collections.abc import Mapping
from typing import Any

from .families import Family, Parted
from .names import AUTOMATIC, FLOW_SCHEDULES, SIGMA_SCHEDULES

ALIGNED_FAMILIES = ("sd1", "sdxl", "svd")
"""Families for which the authors of Align Your Steps give levels."""


ALIGNED_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
"""The noise that those levels are of; a checkpoint of the family may have been trained with other noise."""


def schedules(family: Family, scheduler_config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the schedules that fit a checkpoint of this family, trained with the noise of `scheduler_config` (diffusers' keys);
    whether one goes with a scheduler is for its `SchedulerSpec`."""
    fitting = FLOW_SCHEDULES if family.noise == "flow" else SIGMA_SCHEDULES
    known = all(scheduler_config.get(name, value) == value for name, value in ALIGNED_BETAS.items())
    aligned = family.name in ALIGNED_FAMILIES and known and not scheduler_config.get("rescale_betas_zero_snr")
    return AUTOMATIC, *(name for name in fitting if name != "align_your_steps" or aligned)


def idle(parted: Parted) -> Mapping[str, str]:
    """The fields of a request that have no effect on this checkpoint, each with a short sentence that says why."""
    configs = {name: part.config for name, part in parted.parts.items()}
    texts = [part for name, part in parted.parts.items() if name.startswith("text_encoder")]
    found = {}
    if not _edits(configs.get(parted.family.denoiser, {}), configs.get("vae", {})):
        found["image_guidance_scale"] = "Only editing checkpoints keep to the picture by guidance."
    if len(texts) < 2:
        found |= dict.fromkeys(("prompt_2", "negative_prompt_2"), "This checkpoint has one text encoder.")
    if not any(part.architecture.startswith("CLIP") for part in texts):
        found["clip_skip"] = "This checkpoint has no CLIP text encoder."
    return found


def _edits(denoiser: Mapping[str, Any], vae: Mapping[str, Any]) -> bool:
    """Whether it has the picture in channels of its own (instruct-pix2pix)."""
    return denoiser.get("in_channels", 4) == 2 * vae.get("latent_channels", 4)
