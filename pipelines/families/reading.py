"""Checkpoints and VAEs on disk, taken apart into parts: diffusers folders and single files in the original layout."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import headers
from ..errors import CheckpointError
from ..headers import Header
from . import infer, keys
from .family import Family, FileLayout, Signature
from .parts import Part, folder_part, mapped_part, modern_name, read_json

UNET = "model.diffusion_model."
VAE_PREFIXES = ("first_stage_model.", "vae.", "")
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
    "text_encoder": ("CLIPTextModel",),
}

# What a file that is no checkpoint of ours most likely is, by a part of a name of one of its tensors.
_HINTS = (
    ("lora_", "a LoRA, which changes a checkpoint and is none itself"),
    (".lora_A.", "a LoRA, which changes a checkpoint and is none itself"),
    ("conditioner.embedders.", "a Stable Diffusion XL checkpoint"),
    ("joint_blocks.", "a Stable Diffusion 3 checkpoint"),
    ("double_blocks.", "a Flux checkpoint"),
    ("control_model.", "a ControlNet"),
    ("controlnet_cond_embedding.", "a ControlNet"),
    ("input_hint_block.", "a ControlNet"),
    ("emb_params", "a textual inversion"),
    ("time_embedding.linear_1.weight", "a denoiser alone (diffusers layout), not a whole checkpoint"),
)


@dataclass(frozen=True)
class Parted:
    """A checkpoint taken apart. `tiny` is its own small decoder for previews, `header` a single file's."""

    family: Family
    parts: Mapping[str, Part]
    scheduler_config: Mapping[str, Any]
    tokenizer: Path | None
    tiny: Part | None = None
    header: Header | None = None


def checkpoint(path: Path, families: Mapping[str, Family]) -> Parted:
    """Raises `CheckpointError` with one sentence for what cannot be run: damaged, incomplete, of no known family."""
    return _folder(path, families) if path.is_dir() else _file(path, families)


def _folder(path: Path, families: Mapping[str, Family]) -> Parted:
    index = read_json(path / "model_index.json")
    pipeline = str(index.get("_class_name", ""))[:80]
    if not any(pipeline in family.pipelines for family in families.values()):
        raise CheckpointError(f"{path.name} is for diffusers' {pipeline or 'unnamed pipeline'}, which is of no family that is known here.")
    encoder = index.get("text_encoder")
    encoder = encoder[1] if isinstance(encoder, list) and len(encoder) == 2 else None
    if encoder not in COMPONENTS["text_encoder"]:
        raise CheckpointError(f"{path.name} has {encoder!s:.60} as text encoder, where CLIPTextModel is needed.")
    parts = {name: folder_part(path / name, name, kinds) for name, kinds in COMPONENTS.items()}
    unet, vae = parts["unet"].config, parts["vae"].config
    signature = Signature(
        pipeline=pipeline,
        text_encoder=encoder,
        text_width=_whole(unet.get("cross_attention_dim")),
        in_channels=_whole(unet.get("in_channels", 4)),
        latent_channels=_whole(vae.get("latent_channels", 4)),
        pooled=bool(unet.get("addition_embed_type") or unet.get("class_embed_type")),
    )
    family = _family(path.name, signature, families)
    tokenizer = path / "tokenizer"
    if not (tokenizer / "tokenizer.json").is_file() and not all((tokenizer / name).is_file() for name in ("vocab.json", "merges.txt")):
        raise CheckpointError(f"{path.name} has no tokenizer (tokenizer/vocab.json and merges.txt).")
    _complete(path.name, parts)
    return Parted(family, parts, read_json(path / "scheduler" / "scheduler_config.json"), tokenizer, _own_tiny(path / "vae_tiny"))


def _own_tiny(folder: Path) -> Part | None:
    """A preview decoder is a comfort: without a sound one, previews are made another way."""
    try:
        return folder_part(folder, "tiny_decoder", ("AutoencoderTiny",)) if folder.is_dir() else None
    except CheckpointError:
        return None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _file(path: Path, families: Mapping[str, Family]) -> Parted:
    header = headers.read(path)
    shapes = _shapes(header, UNET)
    if "input_blocks.0.0.weight" not in shapes:
        hint = next((hint for mark, hint in _HINTS if any(mark in name for name in header.tensors)), "not a checkpoint: it has no UNet")
        raise CheckpointError(f"{path.name} is {hint}.")
    texts = {layout.text: _prefix(header, layout) for layout in (family.layout for family in families.values())}
    with _Reading(path.name, "UNet"):
        unet = infer.unet(shapes, heads=1, head_width=None)
        latent_channels = unet["out_channels"]
    signature = Signature(
        pipeline="",
        text_encoder={"clip": "CLIPTextModel", "open_clip": "OpenCLIP"}.get(
            next((text for text, prefix in texts.items() if prefix), ""), ""
        ),
        text_width=unet["cross_attention_dim"],
        in_channels=unet["in_channels"],
        latent_channels=latent_channels,
        pooled=any(name.startswith("label_emb.") for name in shapes) or any(name.startswith("conditioner.") for name in header.tensors),
    )
    family = _family(path.name, signature, families)
    layout = family.layout
    with _Reading(path.name, "UNet"):
        config = infer.unet(shapes, layout.unet_heads, layout.unet_head_width)
        parts = {"unet": mapped_part("unet", "UNet2DConditionModel", config, keys.unet(config), header, UNET)}
    parts["vae"] = _file_vae(header, VAE_PREFIXES[:1], layout.vae_config)
    parts["text_encoder"] = _file_text(header, layout)
    _complete(path.name, parts)
    return Parted(family, parts, layout.scheduler_config, None, header=header)


class _Reading:
    """Turns what `infer` stumbles over into a sentence."""

    def __init__(self, name: str, what: str) -> None:
        self._name, self._what = name, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (KeyError, IndexError, ValueError, ZeroDivisionError)):
            what = f" ({error.args[0]})" if isinstance(error, KeyError) else ""
            raise CheckpointError(f"{self._name} is incomplete: its {self._what} lacks weights{what}.") from None


def _shapes(header: Header, prefix: str) -> dict[str, tuple[int, ...]]:
    return {name[len(prefix) :]: info.shape for name, info in header.tensors.items() if name.startswith(prefix)}


_TEXT_ENCODERS = {"clip": "CLIPTextModel", "open_clip": "OpenCLIP"}
_TEXT_MARKS = {"clip": "final_layer_norm.weight", "open_clip": "ln_final.weight"}


def _prefix(header: Header, layout: FileLayout) -> str:
    """Where the text encoder of this layout begins, or "" when there is none."""
    return next((prefix for prefix in layout.text_prefixes if prefix + _TEXT_MARKS[layout.text] in header.tensors), "")


def _file_text(header: Header, layout: FileLayout) -> Part:
    prefix = _prefix(header, layout)
    if not prefix:
        raise CheckpointError(f"{header.stamp.path.name} carries no text encoder; a complete checkpoint is needed.")
    shapes = _shapes(header, prefix)
    with _Reading(header.stamp.path.name, "text encoder"):
        config = infer.clip(shapes) if layout.text == "clip" else infer.open_clip(shapes, layout.most_text_layers)
        pairs: Callable[[Mapping[str, Any]], Any] = keys.clip if layout.text == "clip" else keys.open_clip
        return mapped_part("text_encoder", "CLIPTextModel", config, pairs(config), header, prefix)


def _file_vae(header: Header, prefixes: tuple[str, ...], config: Mapping[str, Any]) -> Part:
    """A VAE under one of `prefixes`, with original or diffusers names; `config` adds what shapes do not tell."""
    name = header.stamp.path.name
    for prefix in prefixes:
        shapes = _shapes(header, prefix)
        if "decoder.conv_in.weight" not in shapes:
            continue
        original = "decoder.mid.block_1.conv1.weight" in shapes
        with _Reading(name, "VAE"):
            found = {**(infer.vae if original else infer.diffusers_vae)(shapes), **config}
            pairs = list(keys.vae(found)) if original else _diffusers_pairs(shapes, found)
            return mapped_part("vae", "AutoencoderKL", found, pairs, header, prefix)
    raise CheckpointError(
        f"{name} carries no VAE; a complete checkpoint is needed." if prefixes == VAE_PREFIXES[:1] else f"{name} is not a VAE."
    )


def _diffusers_pairs(shapes: Mapping[str, Any], config: Mapping[str, Any]) -> list[tuple[str, str]]:
    present = {modern_name(name): name for name in shapes}
    return [(name, present.get(name, name)) for name, _ in keys.vae(config)]


def _family(name: str, signature: Signature, families: Mapping[str, Family]) -> Family:
    for family in families.values():
        if family.recognise(signature):
            return family
    known = ", ".join(family.title for family in families.values())
    if signature.pooled:
        raise CheckpointError(f"{name} is a Stable Diffusion XL checkpoint or one of its kin; known here are: {known}.")
    if signature.in_channels != signature.latent_channels:
        raise CheckpointError(
            f"{name} takes {signature.in_channels} channels where its VAE has {signature.latent_channels} "
            "(an inpainting, depth or editing checkpoint), which cannot be run yet."
        )
    raise CheckpointError(f"{name} is of no family that is known here; known are: {known}.")


def _complete(name: str, parts: Mapping[str, Part]) -> None:
    for part in parts.values():
        if part.missing:
            more = f" and {len(part.missing) - 1} more" if len(part.missing) > 1 else ""
            raise CheckpointError(f"{name} is incomplete: its {part.component} lacks {part.missing[0]!r}{more}.")


def vae(path: Path) -> Part:
    """A VAE of its own: a folder in diffusers' layout (or one that holds it as `vae/`), or a single file with original or diffusers' names.

    A single file knows no scaling factor: its part has none, and the checkpoint's applies. Raises `CheckpointError`.
    """
    if path.is_dir():
        part = folder_part(path if (path / "config.json").is_file() else path / "vae", "vae", COMPONENTS["vae"])
    else:
        part = _file_vae(headers.read(path), VAE_PREFIXES, {})
    _complete(path.name, {"vae": part})
    return part


def tiny_decoder(path: Path) -> Part:
    """A TAESD decoder in its original layout, whose layers are counted from 1 (0 is a clamp without weights). Raises `CheckpointError`."""
    header = headers.read(path)
    with _Reading(path.name, "decoder"):
        config = infer.tiny_decoder(_shapes(header, ""))
        pairs = [(f"decoder.layers.{int(place) - 1}.{rest}", name) for name in header.tensors for place, _, rest in (name.partition("."),)]
    return mapped_part("tiny_decoder", "AutoencoderTiny", config, pairs, header, "")
