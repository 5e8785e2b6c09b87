"""Stable Diffusion 1 and 2 on disk: diffusers folders and single files in the original layout, told apart by their text encoder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..headers import Header
from . import infer, keys
from .family import Family, Parted
from .parts import Part, mapped_part, read_json
from .reading import FILE_VAE, UNET, VAES, Reading, clip_tokenizer, file_vae, folder_parts, named_class, native_size, own_tiny, shapes_of

COMPONENTS: Mapping[str, tuple[str, ...]] = {"unet": ("UNet2DConditionModel",), "vae": VAES, "text_encoder": ("CLIPTextModel",)}
CLIP, OPEN_CLIP = "clip", "open_clip"
TEXT_MARKS = {CLIP: "final_layer_norm.weight", OPEN_CLIP: "ln_final.weight"}
INPAINTING, EDITING = ("inpaint",), ("img2img",)


@dataclass(frozen=True)
class FileLayout:
    """How a single file of the family is laid out, and what its shapes do not tell.

    `text` is the naming of the text encoder, found under the first of `text_prefixes` that occurs; `text_width` is the
    width of the text that the UNet attends to, None where any will do.
    """

    text: str
    text_prefixes: tuple[str, ...]
    text_width: int | None = None
    unet_heads: int | None = None
    unet_head_width: int | None = None
    most_text_layers: int = 256
    pad_token: str = "<|endoftext|>"
    vae_config: Mapping[str, Any] = field(default_factory=lambda: {"scaling_factor": 0.18215})
    scheduler_config: Mapping[str, Any] = field(default_factory=dict)
    v_prediction_mark: tuple[str, float] | None = None  # a tensor whose spread is above this in v-prediction models


def folder(family: Family, path: Path, index: Mapping[str, Any]) -> Parted | None:
    """See `FamilyFiles`."""
    encoder = named_class(index, "text_encoder")
    if encoder not in COMPONENTS["text_encoder"]:
        raise CheckpointError(f"{path.name} has {encoder!s:.60} as text encoder, where CLIPTextModel is needed.")
    parts = folder_parts(path, COMPONENTS)
    unet, vae = parts["unet"].config, parts["vae"].config
    layout: FileLayout = family.settings
    pooled = unet.get("addition_embed_type") or unet.get("class_embed_type")
    if pooled or layout.text_width not in (None, unet.get("cross_attention_dim")):
        return None
    return Parted(
        family,
        parts,
        read_json(path / "scheduler" / "scheduler_config.json"),
        {"text_encoder": clip_tokenizer(path)},
        own_tiny(path / "vae_tiny"),
        tasks=tasks(path.name, unet.get("in_channels", 4), vae.get("latent_channels", 4)),
        native_size=native_size(unet.get("sample_size"), vae),
    )


def file(family: Family, header: Header) -> Parted | None:
    """See `FamilyFiles`."""
    shapes = shapes_of(header, UNET)
    pooled = any(name.startswith("label_emb.") for name in shapes) or any(name.startswith("conditioner.") for name in header.tensors)
    if "input_blocks.0.0.weight" not in shapes or pooled:
        return None
    layout: FileLayout = family.settings
    name = header.stamp.path.name
    prefix = text_prefix(header, layout.text, layout.text_prefixes)
    if not prefix:
        if layout.text == OPEN_CLIP or text_prefix(header, OPEN_CLIP, ("cond_stage_model.model.",)):
            return None
        raise CheckpointError(f"{name} carries no text encoder; a complete checkpoint is needed.")
    with Reading(name, "UNet"):
        config = infer.unet(shapes, layout.unet_heads, layout.unet_head_width)
        if layout.text_width not in (None, config["cross_attention_dim"]) and layout.text == CLIP:
            return None
        unet = mapped_part("unet", "UNet2DConditionModel", config, keys.unet(config), header, UNET)
    return Parted(
        family,
        {
            "unet": unet,
            "vae": file_vae(header, FILE_VAE, layout.vae_config),
            "text_encoder": file_text(header, "text_encoder", layout.text, prefix, layout.most_text_layers),
        },
        layout.scheduler_config,
        {"text_encoder": None},
        header=header,
        tasks=tasks(name, config["in_channels"], config["out_channels"]),
        v_prediction_mark=layout.v_prediction_mark,
    )


def tasks(name: str, taken: Any, latents: Any) -> tuple[str, ...] | None:
    """What a UNet can do that takes `taken` channels for latents of `latents`; None: all. Raises `CheckpointError`."""
    if taken == latents:
        return None
    if isinstance(latents, int) and taken == 2 * latents + 1:
        return INPAINTING
    if isinstance(latents, int) and taken == 2 * latents:
        return EDITING
    told = f"{name} takes {taken!s:.20} channels where its VAE has {latents!s:.20}"
    raise CheckpointError(f"{told} (a depth or upscaling checkpoint), which cannot be run yet.")


def text_prefix(header: Header, text: str, prefixes: tuple[str, ...]) -> str:
    """Where a text encoder of this naming begins, or "" when there is none."""
    return next((prefix for prefix in prefixes if prefix + TEXT_MARKS[text] in header.tensors), "")


def file_text(header: Header, component: str, text: str, prefix: str, most_layers: int = 256) -> Part:
    """A CLIP text encoder inside a single file, under `prefix`. Raises `CheckpointError`."""
    shapes = shapes_of(header, prefix)
    with Reading(header.stamp.path.name, "text encoder"):
        config = infer.clip(shapes) if text == CLIP else infer.open_clip(shapes, most_layers)
        pairs: Callable[[Mapping[str, Any]], Any] = keys.clip if text == CLIP else keys.open_clip
        return mapped_part(component, "CLIPTextModel", config, pairs(config), header, prefix)
