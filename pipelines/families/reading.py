"""Checkpoints and VAEs on disk: asked of each family in turn, with the means that families take them apart by."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import headers
from ..errors import CheckpointError
from ..headers import Header
from . import infer, keys
from .family import Family, Parted
from .parts import Part, folder_part, mapped_part, modern_name, read_json

UNET = "model.diffusion_model."
FILE_VAE = ("first_stage_model.",)
VAE_PREFIXES = (*FILE_VAE, "vae.", "")
VAES = ("AutoencoderKL",)

# What a file that is no checkpoint of ours most likely is, by a part of a name of one of its tensors.
_HINTS = (
    ("lora_", "a LoRA, which changes a checkpoint and is none itself"),
    (".lora_A.", "a LoRA, which changes a checkpoint and is none itself"),
    ("conditioner.embedders.", "a Stable Diffusion XL checkpoint of a kind that is not known here"),
    ("joint_blocks.", "a Stable Diffusion 3 checkpoint of a kind that is not known here"),
    ("double_blocks.", "a Flux checkpoint"),
    ("control_model.", "a ControlNet"),
    ("controlnet_cond_embedding.", "a ControlNet"),
    ("input_hint_block.", "a ControlNet"),
    ("emb_params", "a textual inversion"),
    ("time_embedding.linear_1.weight", "a denoiser alone (diffusers layout), not a whole checkpoint"),
)


def checkpoint(path: Path, families: Mapping[str, Family], header: Header | None = None) -> Parted:
    """`header` is that of a file, if it has been read. Raises `CheckpointError` with one sentence for what cannot be run: damaged,
    incomplete, of no known family."""
    known = ", ".join(family.title for family in families.values())
    if path.is_dir():
        index = read_json(path / "model_index.json")
        pipeline = str(index.get("_class_name", ""))[:80]
        parted = _first(family.read_folder(path, index) for family in families.values() if pipeline in family.pipelines)
        what = f"is for diffusers' {pipeline or 'unnamed pipeline'}, which is of no family that is known here; known are: {known}"
    else:
        header = header or headers.read(path)
        parted = _first(family.read_file(header) for family in families.values())
        what = _what(header, known)
    if parted is None:
        raise CheckpointError(f"{path.name} {what}.")
    complete(path.name, parted.parts)
    return parted


def _what(header: Header, known: str) -> str:
    """What a file is that no family took."""
    hint = next((hint for mark, hint in _HINTS if any(mark in name for name in header.tensors)), None)
    if hint:
        return f"is {hint}"
    if UNET + "input_blocks.0.0.weight" in header.tensors:
        return f"is of no family that is known here; known are: {known}"
    return "is not a checkpoint: it has no UNet"


def _first(found: Iterable[Parted | None]) -> Parted | None:
    return next((parted for parted in found if parted is not None), None)


def folder_parts(path: Path, components: Mapping[str, tuple[str, ...]]) -> dict[str, Part]:
    """The components of a diffusers folder by name; `components` says which classes each may be."""
    return {name: folder_part(path / name, name, kinds) for name, kinds in components.items()}


def named_class(index: Mapping[str, Any], component: str) -> str | None:
    """The class that a model_index.json names for a component, or None."""
    named = index.get(component)
    return named[1] if isinstance(named, list) and len(named) == 2 and isinstance(named[1], str) else None


def clip_tokenizer(path: Path, name: str = "tokenizer") -> Path:
    """The folder of a CLIP tokenizer inside a checkpoint. Raises `CheckpointError` when it is not there."""
    folder = path / name
    if not (folder / "tokenizer.json").is_file() and not all((folder / part).is_file() for part in ("vocab.json", "merges.txt")):
        raise CheckpointError(f"{path.name} has no tokenizer ({name}/vocab.json and merges.txt).")
    return folder


def own_tiny(folder: Path) -> Part | None:
    """A preview decoder is a comfort: without a sound one, previews are made another way."""
    try:
        return folder_part(folder, "tiny_decoder", ("AutoencoderTiny",)) if folder.is_dir() else None
    except CheckpointError:
        return None


def native_size(sample_size: Any, vae: Mapping[str, Any]) -> tuple[int, int] | None:
    """Pixels that a denoiser of `sample_size` latents was trained at, where its configuration says so."""
    side = sample_size * 2 ** (len(vae["block_out_channels"]) - 1) if isinstance(sample_size, int) else 0
    return (side, side) if 64 <= side <= 2048 and side % 8 == 0 else None


class Reading:
    """Turns what `infer` stumbles over into a sentence."""

    def __init__(self, name: str, what: str) -> None:
        self._name, self._what = name, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (KeyError, IndexError, ValueError, ZeroDivisionError)):
            what = f" ({error.args[0]})" if isinstance(error, KeyError) else ""
            raise CheckpointError(f"{self._name} is incomplete: its {self._what} lacks weights{what}.") from None


def shapes_of(header: Header, prefix: str) -> dict[str, tuple[int, ...]]:
    return {name[len(prefix) :]: info.shape for name, info in header.tensors.items() if name.startswith(prefix)}


def file_vae(header: Header, prefixes: tuple[str, ...], config: Mapping[str, Any]) -> Part:
    """A VAE under one of `prefixes`, with original or diffusers names; `config` adds what shapes do not tell."""
    name = header.stamp.path.name
    for prefix in prefixes:
        shapes = shapes_of(header, prefix)
        if "decoder.conv_in.weight" not in shapes:
            continue
        original = "decoder.mid.block_1.conv1.weight" in shapes
        with Reading(name, "VAE"):
            found = {**(infer.vae if original else infer.diffusers_vae)(shapes), **config}
            pairs = list(keys.vae(found)) if original else _diffusers_pairs(shapes, found)
            return mapped_part("vae", "AutoencoderKL", found, pairs, header, prefix)
    raise CheckpointError(f"{name} carries no VAE; a complete checkpoint is needed." if prefixes == FILE_VAE else f"{name} is not a VAE.")


def _diffusers_pairs(shapes: Mapping[str, Any], config: Mapping[str, Any]) -> list[tuple[str, str]]:
    present = {modern_name(name): name for name in shapes}
    return [(name, present.get(name, name)) for name, _ in keys.vae(config)]


def complete(name: str, parts: Mapping[str, Part]) -> None:
    for part in parts.values():
        if part.missing:
            more = f" and {len(part.missing) - 1} more" if len(part.missing) > 1 else ""
            raise CheckpointError(f"{name} is incomplete: its {part.component} lacks {part.missing[0]!r}{more}.")


def vae(path: Path) -> Part:
    """A VAE of its own: a folder in diffusers' layout (or one that holds it as `vae/`), or a single file with original or diffusers' names.

    A single file knows no scaling factor: its part has none, and the checkpoint's applies. Raises `CheckpointError`.
    """
    if path.is_dir():
        part = folder_part(path if (path / "config.json").is_file() else path / "vae", "vae", VAES)
    else:
        part = file_vae(headers.read(path), VAE_PREFIXES, {})
    complete(path.name, {"vae": part})
    return part


def tiny_decoder(path: Path) -> Part:
    """A TAESD decoder in its original layout, whose layers are counted from 1 (0 is a clamp without weights). Raises `CheckpointError`."""
    header = headers.read(path)
    with Reading(path.name, "decoder"):
        config = infer.tiny_decoder(shapes_of(header, ""))
        pairs = [(f"decoder.layers.{int(place) - 1}.{rest}", name) for name in header.tensors for place, _, rest in (name.partition("."),)]
    return mapped_part("tiny_decoder", "AutoencoderTiny", config, pairs, header, "")
