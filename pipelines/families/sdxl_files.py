"""Stable Diffusion XL and its refiner on disk: diffusers folders and single files in the layout of Stability's generative-models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..headers import Header
from . import infer, keys
from .family import Family, Parted
from .parts import Part, mapped_part, read_json
from .reading import FILE_VAE, UNET, VAES, Reading, clip_tokenizer, file_vae, folder_parts, named_class, native_size, own_tiny, shapes_of
from .sd_files import CLIP, TEXT_MARKS, file_text, tasks

HEAD_WIDTH, MOST_LAYERS = 64, 256
TIME_IDS, AESTHETIC_TIME_IDS = 6, 5
"""How many numbers the UNet is told: original size, crop and target size; or original size, crop and aesthetic score."""
_KINDS = {"text_encoder": ("CLIPTextModel",), "text_encoder_2": ("CLIPTextModelWithProjection",)}
_TOKENIZERS = {"text_encoder": "tokenizer", "text_encoder_2": "tokenizer_2"}
_TOLD = ("force_zeros_for_empty_prompt", "requires_aesthetics_score")
_EDM = ("edm_mean", "edm_vpred.sigma_max")
_CONDITIONER = "conditioner.embedders."


@dataclass(frozen=True)
class XLLayout:
    """`text` says of each text encoder how its weights are named and under which prefix they lie in a single file.

    `pipeline_config` is what diffusers' pipeline is told of such a file, which cannot say it.
    """

    text: Mapping[str, tuple[str, str]]
    scheduler_config: Mapping[str, Any]
    pipeline_config: Mapping[str, Any]
    vae_config: Mapping[str, Any] = field(default_factory=lambda: {"scaling_factor": 0.13025, "force_upcast": True})


def folder(family: Family, path: Path, index: Mapping[str, Any]) -> Parted | None:
    """See `FamilyFiles`. The refiner is the one without a first text encoder."""
    layout: XLLayout = family.settings
    if {name for name in _KINDS if named_class(index, name)} != set(layout.text):
        return None
    scheduler = read_json(path / "scheduler" / "scheduler_config.json")
    parts = folder_parts(path, {"unet": ("UNet2DConditionModel",), "vae": VAES, **{name: _KINDS[name] for name in layout.text}})
    unet, vae = parts["unet"].config, parts["vae"].config
    if unet.get("addition_embed_type") != "text_time":
        raise CheckpointError(f"{path.name} has a UNet that is not told the size of the picture, as Stable Diffusion XL is.")
    if str(scheduler.get("_class_name")).startswith("EDM") or vae.get("latents_mean"):
        raise _edm(path.name)
    return Parted(
        family,
        parts,
        scheduler,
        {name: clip_tokenizer(path, _TOKENIZERS[name]) for name in layout.text},
        own_tiny(path / "vae_tiny"),
        tasks=tasks(path.name, unet.get("in_channels", 4), vae.get("latent_channels", 4)),
        native_size=native_size(unet.get("sample_size"), vae),
        pipeline_config={**layout.pipeline_config, **{name: index[name] for name in _TOLD if isinstance(index.get(name), bool)}},
    )


def file(family: Family, header: Header) -> Parted | None:
    """See `FamilyFiles`."""
    layout: XLLayout = family.settings
    name = header.stamp.path.name
    shapes = shapes_of(header, UNET)
    if "input_blocks.0.0.weight" not in shapes or "label_emb.0.0.weight" not in shapes:
        return None
    missing = [component for component, (text, prefix) in layout.text.items() if prefix + TEXT_MARKS[text] not in header.tensors]
    if missing:
        _require_text_encoders(header)
        return None
    if any(mark in header.tensors for mark in _EDM):
        raise _edm(name)
    texts = {component: _text(header, component, text, prefix) for component, (text, prefix) in layout.text.items()}
    with Reading(name, "UNet"):
        config = _unet(shapes, int(texts["text_encoder_2"].config["projection_dim"]), layout)
        unet = mapped_part("unet", "UNet2DConditionModel", config, keys.unet(config), header, UNET)
    return Parted(
        family,
        {"unet": unet, "vae": file_vae(header, FILE_VAE, layout.vae_config), **texts},
        layout.scheduler_config,
        dict.fromkeys(layout.text),
        header=header,
        tasks=tasks(name, config["in_channels"], config["out_channels"]),
        pipeline_config=layout.pipeline_config,
    )


def _text(header: Header, component: str, text: str, prefix: str) -> Part:
    if text == CLIP:
        return file_text(header, component, text, prefix)
    shapes = shapes_of(header, prefix)
    with Reading(header.stamp.path.name, "second text encoder"):
        config = infer.open_clip(shapes, MOST_LAYERS) | {"projection_dim": shapes["text_projection"][1]}
        return mapped_part(component, _KINDS[component][0], config, keys.open_clip_with_projection(config), header, prefix)


def _unet(shapes: infer.Shapes, pooled: int, layout: XLLayout) -> dict[str, Any]:
    """The numbers that the UNet is told are embedded beside the pooled text: what the text leaves of the input is theirs."""
    taken = shapes["label_emb.0.0.weight"][1]
    told = AESTHETIC_TIME_IDS if layout.pipeline_config.get("requires_aesthetics_score") else TIME_IDS
    return {
        **infer.unet(shapes, None, HEAD_WIDTH),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": (taken - pooled) // told,
        "projection_class_embeddings_input_dim": taken,
    }


def _require_text_encoders(header: Header) -> None:
    """Raises `CheckpointError` for a file that is ours and carries none, or only the first of two."""
    name = header.stamp.path.name
    if not any(tensor.startswith((_CONDITIONER, "cond_stage_model.")) for tensor in header.tensors):
        raise CheckpointError(f"{name} carries no text encoder; a complete checkpoint is needed.")
    first, second = f"{_CONDITIONER}0.transformer.text_model.{TEXT_MARKS[CLIP]}", f"{_CONDITIONER}1."
    if first in header.tensors and not any(tensor.startswith(second) for tensor in header.tensors):
        raise CheckpointError(f"{name} carries the first of its two text encoders only; a complete checkpoint is needed.")


def _edm(name: str) -> CheckpointError:
    return CheckpointError(f"{name} is trained on EDM's noise levels (as Playground 2.5 and CosXL are), which cannot be run yet.")
