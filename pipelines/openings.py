"""How a clip begins: with a picture, which the denoiser is told and shown behind every frame."""

from collections.abc import Generator
from dataclasses import dataclass, replace

import torch
from PIL import Image, ImageOps
from torch import Tensor

from .chores import Latents
from .components import Components
from .denoise import Told
from .encode import pixels_of
from .plan import Denoise, OpenClip
from .samplers.philox import Numbers, normal


@dataclass(frozen=True, eq=False)
class Opening:
    """The picture that a clip begins with: `pixels` (1, 3, h, w) in -1..1, and the deviation of the noise that is laid over it."""

    pixels: Tensor
    noise: float


def opening(stage: OpenClip, picture: Image.Image, components: Components) -> tuple[Opening, Told]:
    """From a picture (RGB), of which as much is taken as has the clip's shape; and what is told in all steps besides."""
    picture = in_shape(picture, stage.width, stage.height)
    told = Told(stage.steps, components.family.encode_opening(components, picture, stage))
    small = picture.resize((stage.width, stage.height), Image.Resampling.LANCZOS)
    return Opening((pixels_of(small) * 2 - 1).to(components.device), stage.noise_aug_strength), told


def in_shape(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The middle of the picture, as large as it can be in the shape of width × height."""
    scale = min(picture.width / width, picture.height / height)
    size = (round(width * scale), round(height * scale))
    return picture if size == picture.size else ImageOps.fit(picture, size, Image.Resampling.LANCZOS)


def opened(told: tuple[Told, ...], given: Opening, numbers: Numbers) -> Generator[Latents, Tensor, tuple[Told, ...]]:
    """`told` with the picture's latents ("image_latents", (rows, 1, c, h, w)); its noise is the first that a clip draws. Where there
    is a negative row, that sees an empty picture."""
    noise = normal(given.pixels.shape, numbers).to(given.pixels.device)
    latents = (yield Latents(given.pixels + given.noise * noise))[:, None]
    return tuple(replace(one, conditioning={**one.conditioning, "image_latents": _rows(one, latents)}) for one in told)


def _rows(told: Told, latents: Tensor) -> Tensor:
    guided = next(iter(told.conditioning.values())).shape[0] > 1
    return torch.cat([torch.zeros_like(latents), latents]) if guided else latents


def scale_of(stage: Denoise, device: torch.device) -> float | Tensor:
    """The scale of a pass: one number, or (1, frames, 1, 1, 1) of a clip."""
    if stage.last_guidance_scale is None:
        return stage.guidance_scale
    return torch.linspace(stage.guidance_scale, stage.last_guidance_scale, stage.shape[0]).to(device).view(1, -1, 1, 1, 1)
