"""Stable Video Diffusion on disk: diffusers folders, and single files in the layout in which it was published."""

import math
from collections.abc import Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from ..headers import Header
from . import infer, svd_keys
from .family import Family, Parted
from .infer import Shapes
from .parts import Part, mapped_part, read_json
from .reading import FILE_VAE, UNET, Reading, folder_parts, shapes_of

UNET_CLASS, VAE_CLASS, VISION_CLASS = "UNetSpatioTemporalConditionModel", "AutoencoderKLTemporalDecoder", "CLIPVisionModelWithProjection"
COMPONENTS: Mapping[str, tuple[str, ...]] = {"unet": (UNET_CLASS,), "vae": (VAE_CLASS,), "image_encoder": (VISION_CLASS,)}
MARK = UNET + "input_blocks.1.0.time_stack.in_layers.0.weight"
ENCODER, DECODER = "conditioner.embedders.3.encoder.", FILE_VAE[0]
VISION = "conditioner.embedders.0.open_clip.model.visual."
FRAMES, EXTENDED = 14, 25
"""What the models were trained on: the first ones, and those called XT."""

SCHEDULER = {
    "_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000, "prediction_type": "v_prediction", "use_karras_sigmas": True, "sigma_min": 0.002, "sigma_max": 700.0,
    "steps_offset": 1, "timestep_spacing": "leading", "timestep_type": "continuous",
}  # fmt: skip


def folder(family: Family, path: Path, index: Mapping[str, Any]) -> Parted | None:
    """See `FamilyFiles`."""
    parts = folder_parts(path, COMPONENTS)
    frames = parts["unet"].config.get("num_frames", EXTENDED)
    return Parted(
        family,
        parts,
        read_json(path / "scheduler" / "scheduler_config.json"),
        tokenizers={},
        recommended={"num_frames": frames} if isinstance(frames, int) and 2 <= frames <= 64 else {},
    )


def file(family: Family, header: Header) -> Parted | None:
    """See `FamilyFiles`. How many frames it was trained on, only its name tells."""
    if MARK not in header.tensors:
        return None
    parts = {"unet": _unet(header), "vae": _vae(header), "image_encoder": _vision(header)}
    frames = EXTENDED if "xt" in header.stamp.path.stem.lower() else FRAMES
    return Parted(family, parts, SCHEDULER, tokenizers={}, header=header, recommended={"num_frames": frames})


def _unet(header: Header) -> Part:
    shapes = shapes_of(header, UNET)
    with Reading(header.stamp.path.name, "UNet"):
        found = infer.unet(shapes, None, 64)
        blocks = {each: [kind.replace("2D", "SpatioTemporal") for kind in found[each]] for each in ("down_block_types", "up_block_types")}
        width = shapes["label_emb.0.0.weight"][1]
        kept = (
            "in_channels",
            "out_channels",
            "block_out_channels",
            "layers_per_block",
            "transformer_layers_per_block",
            "cross_attention_dim",
        )
        config = {
            **{name: found[name] for name in kept},
            **blocks,
            "num_attention_heads": found["attention_head_dim"],
            "projection_class_embeddings_input_dim": width,
            "addition_time_embed_dim": width // 3,  # frame rate, motion and noise
        }
        return mapped_part("unet", UNET_CLASS, config, svd_keys.unet(config), header, UNET)


def _vae(header: Header) -> Part:
    shapes = shapes_of(header, DECODER) | shapes_of(header, ENCODER)
    with Reading(header.stamp.path.name, "VAE"):
        found = infer.vae(shapes)
        kept = ("in_channels", "out_channels", "latent_channels", "block_out_channels", "down_block_types", "layers_per_block")
        config = {**{name: found[name] for name in kept}, "scaling_factor": 0.18215, "force_upcast": True}
        return mapped_part("vae", VAE_CLASS, config, svd_keys.vae(config, ENCODER, DECODER), header, "")


def _vision(header: Header) -> Part:
    shapes = shapes_of(header, VISION)
    with Reading(header.stamp.path.name, "image encoder"):
        config = _vision_config(shapes)
        return mapped_part("image_encoder", VISION_CLASS, config, svd_keys.vision(config), header, VISION)


def _vision_config(shapes: Shapes) -> dict[str, Any]:
    width, channels, patch, _ = shapes["conv1.weight"]
    layers = [*takewhile(lambda index: f"transformer.resblocks.{index}.ln_1.weight" in shapes, count())]
    return {
        "hidden_size": width,
        "intermediate_size": shapes["transformer.resblocks.0.mlp.c_fc.weight"][0],
        "projection_dim": shapes["proj"][1],
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, width // 80),  # of ViT-H, which shapes do not tell
        "num_channels": channels,
        "image_size": patch * math.isqrt(shapes["positional_embedding"][0] - 1),
        "patch_size": patch,
        "hidden_act": "gelu",
    }
