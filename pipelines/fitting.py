"""What of a request suits a checkpoint: the schedules it can be sampled along, the fields that have no effect on it, and what
modifiers go by. Free of torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .families import Family, Parted
from .names import AUTOMATIC, FLOW_SCHEDULES, SIGMA_SCHEDULES

ALIGNED_FAMILIES = ("sd1", "sdxl", "svd")
"""Families for which the authors of Align Your Steps give levels."""


ALIGNED_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
"""The noise that those levels are of; a checkpoint of the family may have been trained with other noise."""


CLIP_LAYERS = 12
"""Of a CLIP text encoder whose configuration does not tell (transformers' default, and Stable Diffusion 1's)."""


@dataclass(frozen=True)
class Traits:
    """What decides whether a modifier goes with a checkpoint.

    `denoiser` is diffusers' class of what makes its latents. Checkpoints whose `latents` are alike can go on from one another's; ""
    are those of one that cannot. `staged` has more than one denoiser, `scored` is told how beautiful the picture is to be. Of its text
    encoders `most_clip_skip` layers can be skipped; None: it has none of CLIP's.
    """

    denoiser: str = ""
    latents: str = ""
    staged: bool = False
    scored: bool = False
    most_clip_skip: int | None = None


def traits(parted: Parted) -> Traits:
    """From the configurations of its parts; of one in pieces, as far as they are there."""
    family = parted.family
    denoiser = parted.parts.get(family.denoiser)
    if denoiser is None:
        return Traits()
    staged = any(name in parted.parts for name in family.more_denoisers)
    vae = parted.parts["vae"].config if "vae" in parted.parts else {}
    channels = vae.get("latent_channels", 4)
    alone = not staged and denoiser.config.get("in_channels", channels) == channels
    latents = f"{family.noise} {channels!s:.20} {vae.get('scaling_factor', 0.18215)!s:.20} {vae.get('shift_factor') or 0!s:.20}"
    scored = bool(parted.pipeline_config.get("requires_aesthetics_score"))
    return Traits(denoiser.architecture, latents if alone else "", staged, scored, _most_clip_skip(parted))


def _most_clip_skip(parted: Parted) -> int | None:
    texts = [part for name, part in parted.parts.items() if name.startswith("text_encoder") and part.architecture.startswith("CLIP")]
    layers = [part.config.get("num_hidden_layers", CLIP_LAYERS) for part in texts]
    return min(layers) - parted.family.text_layer if layers and all(isinstance(each, int) for each in layers) else None


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
    if parted.family.noise == "flow":
        found |= dict.fromkeys(("prediction_type", "rescale_betas_zero_snr"), "This checkpoint goes by flow, without a schedule of betas.")
    return found


def _edits(denoiser: Mapping[str, Any], vae: Mapping[str, Any]) -> bool:
    """Whether it has the picture in channels of its own (instruct-pix2pix)."""
    return denoiser.get("in_channels", 4) == 2 * vae.get("latent_channels", 4)
