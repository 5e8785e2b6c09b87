"""A1111's names for the fields of a request: how each is said in a picture's text, and how it is heard."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from .control import infotext as control_words
from .errors import UnknownName
from .infotext_variants import VARIANTS, said_of_variants
from .names import AUTOMATIC, SCHEDULERS, SCHEDULES, resolve, resolve_schedule
from .upscalers.shelf import UPSCALERS

MODEL_FILES = (".safetensors", ".ckpt", ".pt", ".bin")
FRAMES = "Video frames"
ZERO_SNR = "Zero Terminal SNR"
HIRES = ("Hires upscale", "Hires upscaler", "Hires resize")
_SIZE = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")


@dataclass(frozen=True)
class Word:
    """One field under A1111's name: how it is said, and heard (ValueError or an invalid value: not understood)."""

    key: str
    field: str
    say: Callable[[Any], str]
    hear: Callable[[str], Any]
    silent: Any = None  # the value that goes without saying


def number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def stem(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.stem if path.suffix.lower() in MODEL_FILES else path.name


def _vae(text: str) -> str:
    return AUTOMATIC if text.lower() in ("automatic", "none") else text


def _emphasis(text: str) -> str:
    return text.lower().replace(" ", "_")


def _zero_snr(text: str) -> bool:
    if text not in (ZERO_SNR, "Default"):
        raise ValueError(text)
    return text == ZERO_SNR


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _called(key: str, field: str, titles: Mapping[Any, str], silent: Any = None) -> Word:
    """A field whose values have names of their own."""
    values = {title.lower(): value for value, title in titles.items()}

    def hear(text: str) -> Any:
        if text.lower() not in values:
            raise ValueError(text)
        return values[text.lower()]

    return Word(key, field, titles.__getitem__, hear, silent)


RESIZE_MODES = {"stretch": "Just resize", "crop": "Crop and resize", "fill": "Resize and fill", "latent": "Just resize (latent upscale)"}
CONTENTS = {"original": "original", "fill": "fill", "noise": "latent noise", "nothing": "latent nothing"}
OF_PICTURES = (
    _called("Resize mode", "resize_mode", RESIZE_MODES, silent="stretch"),
    Word("Color correction", "color_correction", str, _truth, silent=False),
    Word("Noise multiplier", "noise_multiplier", number, float, silent=1.0),
    Word("Loops", "loops", str, int, silent=1),
    Word("Mask blur", "mask_blur", str, int, silent=-1),
    _called("Mask mode", "mask_invert", {False: "Inpaint masked", True: "Inpaint not masked"}, silent=False),
    _called("Masked content", "masked_content", CONTENTS, silent="original"),
    # always said, for it tells inpainting from img2img
    _called("Inpaint area", "inpaint_area", {"whole": "Whole picture", "masked": "Only masked"}),
    Word("Masked area padding", "padding", str, int, silent=32),
    Word("Mask grow", "mask_grow", str, int, silent=0),
    Word("Soft inpainting enabled", "soft_inpainting", str, _truth, silent=False),
    Word("Masks one by one", "separately", str, _truth, silent=False),
    *(Word(f"Outpaint {side}", f"outpaint_{side}", str, int, silent=0) for side in ("left", "right", "top", "bottom")),
)
"""What an `Inpaint` or `Img2Img` says besides; A1111's names where it has them."""

WORDS = (
    *OF_PICTURES,
    Word("Steps", "num_inference_steps", str, int),
    Word("CFG scale", "guidance_scale", number, float),
    Word(FRAMES, "num_frames", str, int),
    Word("FPS", "fps", str, int),
    Word("Motion bucket id", "motion_bucket_id", str, int),
    Word("Augmentation level", "noise_aug_strength", number, float),
    Word("Min CFG scale", "min_guidance_scale", number, float),
    Word("Max CFG scale", "max_guidance_scale", number, float),
    Word("Image CFG scale", "image_guidance_scale", number, float),
    Word("Seed", "seed", str, int),
    Word("Model", "checkpoint", stem, str, silent=""),
    Word("VAE", "vae", lambda name: PurePosixPath(name).name, _vae, silent=AUTOMATIC),
    Word("Variation seed", "variation_seed", str, int, silent=-1),
    Word("Variation seed strength", "variation_strength", number, float, silent=0.0),
    Word("Denoising strength", "strength", number, float),
    Word("Clip skip", "clip_skip", lambda skipped: str(skipped + 1), lambda text: int(text) - 1, silent=0),
    Word("ENSD", "eta_noise_seed_delta", str, int, silent=0),
    Word("RNG", "noise_source", str.upper, str.lower),
    Word("Eta", "eta", number, float, silent=-1.0),
    Word("Sigma churn", "s_churn", number, float, silent=0.0),
    Word("Sigma tmin", "s_tmin", number, float, silent=0.0),
    Word("Sigma tmax", "s_tmax", number, float, silent=0.0),
    Word("Sigma noise", "s_noise", number, float, silent=1.0),
    Word("Schedule min sigma", "sigma_min", number, float, silent=0.0),
    Word("Schedule max sigma", "sigma_max", number, float, silent=0.0),
    Word("Schedule rho", "rho", number, float, silent=0.0),
    Word("Discard penultimate sigma", "discard_penultimate", str, _truth, silent=False),
    Word("Timestep spacing", "timestep_spacing", str, str, silent=AUTOMATIC),
    Word("Prediction type", "prediction_type", str, str, silent=AUTOMATIC),
    Word("Noise Schedule", "rescale_betas_zero_snr", lambda on: ZERO_SNR if on else "Default", _zero_snr, silent=False),
    Word("Emphasis", "emphasis", lambda name: name.replace("_", " ").capitalize(), _emphasis, silent="original"),
    Word("Prompt syntax", "prompt_syntax", str, str, silent="a1111"),
    Word("Template", "template", str, str, silent=""),
    Word("Second prompt", "prompt_2", str, str, silent=""),
    Word("Second negative prompt", "negative_prompt_2", str, str, silent=""),
)
ORDER = (
    "Steps", "Sampler", "Schedule type", "CFG scale", "Image CFG scale", "Seed", "Size", "Model hash", "Model", "VAE hash", "VAE",
    "Variation seed", "Variation seed strength", "Seed resize from", "Denoising strength", "Clip skip", "ENSD", "RNG",
)  # fmt: skip


# -- modifiers that A1111 knows ----------------------------------------------------------------------------------------


def said_of_modifiers(modifiers: Mapping[str, Mapping[str, Any]], steps: int) -> Iterator[tuple[str, str]]:
    """A1111's keys for hires fix, refiner and units of control; `steps` are those of the first pass."""
    if (hires := modifiers.get("hires")) is not None:
        strength = float(hires.get("strength", 0.5))
        second = int(int(hires.get("num_inference_steps") or steps) * strength)
        yield "Denoising strength", number(strength)
        if hires.get("width") and hires.get("height"):
            yield "Hires resize", f"{hires['width']}x{hires['height']}"
        else:
            yield "Hires upscale", number(hires.get("scale", 2.0))
        yield "Hires steps", str(second)
        name = str(hires.get("upscaler", "lanczos"))
        yield "Hires upscaler", UPSCALERS[name].title if name in UPSCALERS else stem(name)
        if hires.get("scheduler") in SCHEDULERS:
            yield "Hires sampler", SCHEDULERS[hires["scheduler"]].title
        if hires.get("schedule") in SCHEDULES:
            yield "Hires schedule type", SCHEDULES[hires["schedule"]]
        if hires.get("guidance_scale"):
            yield "Hires CFG Scale", number(hires["guidance_scale"])
        for field, key in (("prompt", "Hires prompt"), ("negative_prompt", "Hires negative prompt")):
            if hires.get(field):
                yield key, str(hires[field])
    if (refiner := modifiers.get("refiner")) is not None:
        yield "Refiner", stem(str(refiner.get("checkpoint", "")))
        yield "Refiner switch at", number(refiner.get("switch_at", 0.8))
    yield from control_words.say(modifiers.get("control") or {})
    yield from said_of_variants(modifiers)


def heard_of_modifiers(pairs: Mapping[str, str]) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """Settings of modifiers by name, and the keys that were understood."""
    found: dict[str, dict[str, Any]] = {}
    taken: set[str] = set()
    for name, hear in (("hires", _hires), ("refiner", _refiner), ("control", control_words.hear), *VARIANTS):
        try:
            settings, keys = hear(pairs)
        except (ValueError, UnknownName):
            continue  # told as unknown
        if settings:
            found[name] = settings
            taken |= keys
    return found, taken


def _hires(pairs: Mapping[str, str]) -> tuple[dict[str, Any], set[str]]:
    if "Denoising strength" not in pairs or not any(key in pairs for key in HIRES):
        return {}, set()
    strength = float(pairs["Denoising strength"])
    settings: dict[str, Any] = {"strength": strength}
    if size := _SIZE.fullmatch(pairs.get("Hires resize", "")):
        settings |= {"width": int(size[1]), "height": int(size[2])}
    elif "Hires upscale" in pairs:
        settings["scale"] = float(pairs["Hires upscale"])
    if steps := int(pairs.get("Hires steps", pairs.get("Steps", "0"))):
        settings["num_inference_steps"] = -(-steps * 1000 // int(1000 * min(max(strength, 0.001), 1)))  # A1111 runs them all
    titles = {upscaler.title.lower(): name for name, upscaler in UPSCALERS.items()}
    if upscaler := pairs.get("Hires upscaler"):
        settings["upscaler"] = titles.get(upscaler.lower(), upscaler)
    if sampler := pairs.get("Hires sampler"):
        settings["scheduler"], schedule = resolve(sampler)
        settings |= {"schedule": schedule} if schedule else {}
    if schedule := pairs.get("Hires schedule type"):
        settings["schedule"] = resolve_schedule(schedule)
    if scale := pairs.get("Hires CFG Scale"):
        settings["guidance_scale"] = float(scale)
    for field, key in (("prompt", "Hires prompt"), ("negative_prompt", "Hires negative prompt")):
        if key in pairs:
            settings[field] = pairs[key]
    return settings, {"Denoising strength", *(key for key in pairs if key.startswith("Hires "))}


def _refiner(pairs: Mapping[str, str]) -> tuple[dict[str, Any], set[str]]:
    if "Refiner" not in pairs:
        return {}, set()
    name = re.sub(r"\s*\[[0-9a-f]{8,64}\]\s*$", "", pairs["Refiner"])
    return {"checkpoint": name, "switch_at": float(pairs.get("Refiner switch at", 0.8))}, {"Refiner", "Refiner switch at"}
