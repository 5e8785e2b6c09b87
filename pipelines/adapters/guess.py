"""Which family a LoRA was made for: told by the widths it changes, else by what its metadata says."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .changes import Change
from .naming import DENOISER


class Guess(NamedTuple):
    family: str | None
    text_width: int | None


# Width of the text a UNet attends to, and of the text encoder of those that have only one.
_BY_TEXT_WIDTH = {768: "sd1", 1024: "sd2", 2048: "sdxl", 1280: "sdxl_refiner"}
_BY_ENCODER_WIDTH = {768: "sd1", 1024: "sd2"}
_BY_NAME = (("double_blocks_", "flux"), ("single_transformer_blocks_", "flux"), ("joint_blocks_", "sd3"), ("attn_add_q_proj", "sd3"))
_BY_METADATA = (
    ("stable-diffusion-xl-v1-refiner", "sdxl_refiner"),
    ("stable-diffusion-xl", "sdxl"),
    ("stable-diffusion-v1", "sd1"),
    ("stable-diffusion-v2", "sd2"),
    ("stable-diffusion-3", "sd3"),
    ("flux", "flux"),
    ("sdxl", "sdxl"),
    ("sd_v1", "sd1"),
    ("sd_v2", "sd2"),
    ("sd3", "sd3"),
)
TITLES: Mapping[str, str] = {
    "sd1": "Stable Diffusion 1",
    "sd2": "Stable Diffusion 2",
    "sdxl": "Stable Diffusion XL",
    "sdxl_refiner": "the Stable Diffusion XL refiner",
    "sd3": "Stable Diffusion 3",
    "flux": "Flux",
}


_WORDS = (("sdxl", "sdxl"), ("sd1", "sd1"), ("sd2", "sd2"), ("sd3", "sd3"), ("flux", "flux"))


def by_words(base_model: str) -> str | None:
    """The family that A1111's or Civitai's words for a base model mean, such as "SD1", "SD 1.5" or "SDXL 1.0"."""
    plain = base_model.casefold().replace(" ", "").replace("stablediffusion", "sd")
    return next((family for word, family in _WORDS if plain.startswith(word)), None)


def of(found: Iterable[Change], metadata: Mapping[str, str]) -> Guess:
    """`family` is a name as in the table of families, or None where nothing tells; `text_width` is the width that the
    denoiser's cross-attention takes in, where the file changes it."""
    found = tuple(found)
    denoiser = [change for change in found if change.component == DENOISER]
    family = next((family for mark, family in _BY_NAME if any(mark in change.module for change in denoiser)), None)
    widths = {change.shape[1] for change in denoiser if change.module.endswith(("attn2_to_k", "attn2_to_v")) and len(change.shape) > 1}
    text_width = widths.pop() if len(widths) == 1 else None
    family = family or _BY_TEXT_WIDTH.get(text_width or 0) or _by_encoders(found, bool(denoiser))
    return Guess(family or _by_metadata(metadata), text_width)


def _by_encoders(found: Iterable[Change], and_denoiser: bool) -> str | None:
    encoders = {change.component for change in found} - {DENOISER}
    if "text_encoder_3" in encoders:
        return "sd3"
    if "text_encoder_2" in encoders:
        return "sdxl"
    widths = {change.shape[1] for change in found if change.component == "text_encoder" and change.module.endswith("_q_proj")}
    return _BY_ENCODER_WIDTH.get(widths.pop()) if len(widths) == 1 and not and_denoiser else None


def _by_metadata(metadata: Mapping[str, str]) -> str | None:
    said = " ".join(metadata.get(key, "").lower() for key in ("modelspec.architecture", "ss_base_model_version"))
    return next((family for mark, family in _BY_METADATA if mark in said), None)
