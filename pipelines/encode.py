"""Prompts and pictures brought into the model's terms, once per job."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .components import Components, Conditioning
from .decode import with_less_memory
from .errors import BadPicture
from .plan import EncodePicture, EncodePrompt


class PromptCache:
    """Encoded prompts by exact key, least recently used out first: the same words are encoded once."""

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._kept: OrderedDict[tuple, Conditioning] = OrderedDict()

    def conditioning(self, stage: EncodePrompt, components: Components, modifiers: str) -> Conditioning:
        """Named tensors (2, ...) in diffusers' order [negative, positive], or (1, ...) without guidance.

        `modifiers` is the key of what is patched into the text encoder meanwhile.
        """
        positive = self._encoded(stage.prompt, stage.clip_skip, components, modifiers)
        if stage.negative_prompt is None:
            return positive
        negative = self._encoded(stage.negative_prompt, stage.clip_skip, components, modifiers)
        negative, positive = components.family.pair(negative, positive)
        return {name: torch.cat([negative[name], positive[name]]) for name in positive}

    def _encoded(self, text: str, clip_skip: int, components: Components, modifiers: str) -> Conditioning:
        key = (components.checkpoint, components.fingerprints.get("text_encoder"), modifiers, text, clip_skip)
        if key not in self._kept:
            self._kept[key] = components.family.encode_prompt(components, text, clip_skip)
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return self._kept[key]


@dataclass(frozen=True, eq=False)
class Source:
    """A picture to start from, as every picture of a job uses it.

    `posterior` is the VAE's answer for the picture; for inpainting `mask` (1, 1, h, w) in latent size has 1 where to
    repaint, and `masked_posterior` is the answer for the picture with that part in grey.
    """

    posterior: Any
    scaling_factor: float
    picture: Image.Image
    mask: Tensor | None = None
    masked_posterior: Any = None
    mask_picture: Image.Image | None = None

    def sample(self, generator: torch.Generator) -> Tensor:
        """Latents of the picture drawn from the posterior with the generator of the picture that is made, as diffusers does."""
        return _sample(self.posterior, generator) * self.scaling_factor

    def sample_masked(self, generator: torch.Generator) -> Tensor:
        return _sample(self.masked_posterior, generator) * self.scaling_factor


def source(stage: EncodePicture, picture: Image.Image, mask: Image.Image | None, components: Components) -> Source:
    """Encodes `picture` (RGB) and `mask` (L, as large; white is repainted); the steps and the order are diffusers'."""
    if mask is not None and mask.size != picture.size:
        sizes = f"the mask is {mask.width}×{mask.height}, the picture {picture.width}×{picture.height}"
        raise BadPicture(f"The mask must be as large as the picture; {sizes}.", "mask_image")
    size = (stage.width, stage.height)
    pixels = _pixels(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)) * 2 - 1
    posterior = _encode(pixels, components)
    scaling = float(components.vae.config.scaling_factor)
    if mask is None:
        return Source(posterior, scaling, picture)
    repaint = (_pixels(mask.convert("L").resize(size, Image.Resampling.LANCZOS)) >= 0.5).float()
    masked = _encode(pixels * (repaint < 0.5), components)
    scale = components.vae_scale_factor
    small = torch.nn.functional.interpolate(repaint, size=(stage.height // scale, stage.width // scale))
    return Source(posterior, scaling, picture, small.to(components.device), masked, mask)


def _pixels(picture: Image.Image) -> Tensor:
    """(1, channels, h, w) in 0..1, float32; not copied into another memory order, in which convolutions round otherwise."""
    array = np.array(picture, dtype=np.float32) / 255.0
    return torch.from_numpy(array.reshape(1, picture.height, picture.width, -1).transpose(0, 3, 1, 2))


def _encode(pixels: Tensor, components: Components) -> Any:
    placed = pixels.to(components.device, next(components.vae.parameters()).dtype)
    return with_less_memory(components.vae, lambda vae: vae.encode(placed.to(next(vae.parameters()))))


def _sample(encoded: Any, generator: torch.Generator) -> Tensor:
    """float32 latents; a VAE without a posterior (the tiny one) gives its only answer."""
    drawn = encoded.latent_dist.sample(generator) if hasattr(encoded, "latent_dist") else encoded.latents
    return drawn.float()
