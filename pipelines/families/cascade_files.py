"""Stable Cascade on disk: diffusers folders of both halves or of one, and single files of any stage, whole or in pieces.

Each gives what it holds; `pieces` puts them together.
"""

from collections.abc import Mapping
from math import log2
from pathlib import Path
from typing import Any

from ..headers import Header
from . import cascade_keys
from .family import Family, Parted
from .joined_text import Slot, TextFile
from .parts import Part, folder_part, mapped_part, read_json
from .reading import UNET, Reading, clip_tokenizer, shapes_of

UNETS, VAES, CLIP = ("StableCascadeUNet",), ("PaellaVQModel",), ("CLIPTextModelWithProjection",)
_HALVES: Mapping[str, Mapping[str, str]] = {
    "StableCascadePriorPipeline": {"prior": "prior", "text_encoder": "text_encoder"},
    "StableCascadeDecoderPipeline": {"decoder": "decoder", "vae": "vqgan", "text_encoder": "text_encoder"},
    "StableCascadeCombinedPipeline": {"prior": "prior_prior", "decoder": "decoder", "vae": "vqgan", "text_encoder": "prior_text_encoder"},
}
"""Our components by diffusers' pipeline, and the folders they lie in. Both halves have the same text encoder."""

_KINDS = {"prior": UNETS, "decoder": UNETS, "vae": VAES, "text_encoder": CLIP}
_SCHEDULER = {"_class_name": "DDPMWuerstchenScheduler", "scaler": 1.0, "s": 0.008}
_TEXT = Slot("text_encoder", "clip", "", projected=True, act="gelu")


def folder(family: Family, path: Path, index: Mapping[str, Any]) -> Parted | None:
    """See `FamilyFiles`."""
    held = _HALVES[index["_class_name"]]
    parts = {name: _wide(folder_part(path / place, name, _KINDS[name])) for name, place in held.items()}
    if "vae" in parts:
        parts["vae"] = _told(parts["vae"])
    parts["text_encoder"] = _masked(parts["text_encoder"])
    prefix = "prior_" if held["text_encoder"].startswith("prior_") else ""
    scheduler = read_json(path / f"{prefix}scheduler" / "scheduler_config.json")
    return Parted(family, parts, scheduler, {"text_encoder": clip_tokenizer(path, f"{prefix}tokenizer")})


def file(family: Family, header: Header) -> Parted | None:
    """See `FamilyFiles`: stages as they were published, ComfyUI's checkpoints of several, and denoisers in diffusers' names."""
    parts: dict[str, Part] = {}
    name = header.stamp.path.name
    for prefix in (UNET, ""):
        shapes = shapes_of(header, prefix)
        stage = cascade_keys.stage_of(shapes)
        if stage is not None:
            with Reading(name, stage):
                config = cascade_keys.infer(shapes)
                parts[stage] = _wide(mapped_part(stage, UNETS[0], config, cascade_keys.unet(shapes), header, prefix))
            break
    for prefix in ("vae.", ""):
        shapes = shapes_of(header, prefix)
        if cascade_keys.VAE_MARK in shapes:
            with Reading(name, "VQGAN"):
                config = cascade_keys.infer_vae(shapes)
                parts["vae"] = _told(mapped_part("vae", VAES[0], config, cascade_keys.vae(shapes), header, prefix))
    if not parts:
        return None
    text = TextFile.of(name, header)
    if text is not None and text.fills(_TEXT):
        parts["text_encoder"] = _masked(text.part(_TEXT))
    tokenizers: Mapping[str, Path | None] = {"text_encoder": None} if "text_encoder" in parts else {}
    return Parted(family, parts, _SCHEDULER, tokenizers, header=header)


def text_encoder(file: TextFile, parts: Mapping[str, Part]) -> Part | None:
    """The text encoder in a file of its own, where the prior listens to one like it."""
    listens = parts["prior"].config.get("clip_text_in_channels") if "prior" in parts else None
    return _masked(file.part(_TEXT)) if file.width == file.projected == listens else None


def _wide(part: Part) -> Part:
    """The prior overflows in half precision."""
    return part.with_config(force_upcast="bfloat16") if part.component == "prior" else part


def _masked(part: Part) -> Part:
    """It does not look at what fills a text up."""
    return part.with_config(use_attention_mask=True)


def _told(part: Part) -> Part:
    """With the channels that it has at each resolution, from whole pixels to latents, as other VAEs tell them."""
    config = part.config
    levels, width = int(config.get("levels", 2)), int(config.get("embed_dim", 384))
    first = [int(config.get("in_channels", 3))] * int(log2(config.get("up_down_scale_factor", 2)))
    return part.with_config(block_out_channels=[*first, *(width // 2**level for level in reversed(range(levels)))])
