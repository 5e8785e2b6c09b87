"""Stable Diffusion 3 on disk: diffusers folders, and single files in the original layout with their text encoders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..headers import Header
from . import infer, keys, sd3_keys, t5
from .family import Family, Parted
from .parts import Part, mapped_part, read_json
from .reading import FILE_VAE, UNET, VAES, Reading, clip_tokenizer, file_vae, folder_parts, named_class, native_size, own_tiny, shapes_of
from .sd_files import tasks

CLIP = ("CLIPTextModelWithProjection",)
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "transformer": ("SD3Transformer2DModel",), "vae": VAES, "text_encoder": CLIP, "text_encoder_2": CLIP
}  # fmt: skip
T5 = "text_encoder_3"
LESS = "so it follows long and detailed prompts less closely."
_SCALED = (".scale_weight", ".weight_scale", "scaled_fp8")
_VAE = {"scaling_factor": 1.5305, "shift_factor": 0.0609}
_SCHEDULER = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}
_CLIP_L, _CLIP_G, _T5 = (f"text_encoders.{name}.transformer." for name in ("clip_l", "clip_g", "t5xxl"))


def folder(family: Family, path: Path, index: Mapping[str, Any]) -> Parted | None:
    """See `FamilyFiles`."""
    with_t5 = named_class(index, T5) is not None
    parts = folder_parts(path, {**COMPONENTS, **({T5: ("T5EncoderModel",)} if with_t5 else {})})
    tokenizers = {"text_encoder": clip_tokenizer(path), "text_encoder_2": clip_tokenizer(path, "tokenizer_2")}
    if with_t5:
        tokenizers[T5] = t5.tokenizer_folder(path, "tokenizer_3")
    transformer, vae = parts["transformer"].config, parts["vae"].config
    return Parted(
        family,
        parts,
        read_json(path / "scheduler" / "scheduler_config.json"),
        tokenizers,
        own_tiny(path / "vae_tiny"),
        tasks=tasks(path.name, transformer.get("in_channels", 16), vae.get("latent_channels", 4)),
        native_size=native_size(transformer.get("sample_size"), vae),
        notice="" if with_t5 else _without("has no T5 text encoder"),
    )


def file(family: Family, header: Header) -> Parted | None:
    """See `FamilyFiles`. T5's vocabulary is in no file: it is looked for as `tokenizer_3/` beside it."""
    shapes = shapes_of(header, UNET)
    if sd3_keys.MARK not in shapes:
        return None
    name = header.stamp.path.name
    if any(tensor.endswith(_SCALED) for tensor in header.tensors):
        raise CheckpointError(
            f"{name} stores its weights as scaled 8-bit floats, which cannot be read; plain fp8, fp16 and bf16 files can."
        )
    if f"{_CLIP_G}text_projection.weight" not in header.tensors:
        raise CheckpointError(f"{name} carries no text encoders; a complete checkpoint is needed (often named incl_clips).")
    with Reading(name, "transformer"):
        config = sd3_keys.infer(shapes)
        transformer = mapped_part("transformer", "SD3Transformer2DModel", config, sd3_keys.transformer(config), header, UNET)
    parts = {"transformer": transformer, "vae": file_vae(header, FILE_VAE, _VAE), **_clips(header)}
    tokenizers: dict[str, Path | None] = {"text_encoder": None, "text_encoder_2": None}
    t5_part, notice = _t5(header)
    if t5_part is not None:
        parts[T5], tokenizers[T5] = t5_part, t5.tokenizer_folder(header.stamp.path.parent, "tokenizer_3")
    able = tasks(name, config["in_channels"], config["out_channels"])
    return Parted(family, parts, _SCHEDULER, tokenizers, header=header, tasks=able, notice=notice)


def _clips(header: Header) -> dict[str, Part]:
    """Stable Diffusion 3 leaves CLIP-L's pooled state without projection, whatever its file may carry."""
    name = header.stamp.path.name
    with Reading(name, "text encoder"):
        prefix = f"{_CLIP_L}text_model."
        config = infer.clip(shapes_of(header, prefix))
        first = mapped_part("text_encoder", "CLIPTextModel", config, keys.clip(config), header, prefix)
    with Reading(name, "second text encoder"):
        config = infer.clip(shapes_of(header, f"{_CLIP_G}text_model.")) | {"hidden_act": "gelu"}
        config["projection_dim"] = header.shape(f"{_CLIP_G}text_projection.weight")[0]
        second = mapped_part("text_encoder_2", CLIP[0], config, keys.clip_with_projection(config), header, _CLIP_G)
    return {"text_encoder": first, "text_encoder_2": second}


def _t5(header: Header) -> tuple[Part | None, str]:
    """T5, or why it stays out, which every Stable Diffusion 3 can do without."""
    shapes = shapes_of(header, _T5)
    if not shapes:
        return None, _without("carries no T5 text encoder")
    try:
        t5.tokenizer_folder(header.stamp.path.parent, "tokenizer_3")
    except CheckpointError:
        return None, _without("carries T5 and no vocabulary for it (a folder tokenizer_3 beside the file would be used)")
    with Reading(header.stamp.path.name, "T5 text encoder"):
        config = infer.t5(shapes)
        return mapped_part(T5, "T5EncoderModel", config, keys.t5(config), header, _T5), ""


def _without(why: str) -> str:
    return f"This checkpoint {why}, {LESS}"
