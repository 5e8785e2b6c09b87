"""Pictures brought into the model's terms, once per job."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .components import Components
from .decode import with_less_memory
from .errors import BadPicture
from .plan import EncodePicture


@dataclass(frozen=True)
class Scaling:
    """Between a VAE's own latents and those that the denoiser knows."""

    factor: float
    shift: float

    @classmethod
    def of_vae(cls, vae: Any) -> "Scaling":
        return cls(float(vae.config.scaling_factor), float(getattr(vae.config, "shift_factor", None) or 0.0))

    def of(self, latents: Tensor) -> Tensor:
        return (latents - self.shift if self.shift else latents) * self.factor


@dataclass(frozen=True, eq=False)
class Source:
    """A picture to start from, as every picture of a job uses it.

    `posterior` is the VAE's answer for the picture; for inpainting `mask` (1, 1, h, w) in latent size has 1 where to
    repaint, and `masked_posterior` is the answer for the picture with that part in grey.
    """

    posterior: Any
    scaling: "Scaling"
    picture: Image.Image
    mask: Tensor | None = None
    masked_posterior: Any = None
    mask_picture: Image.Image | None = None

    def sample(self, generator: torch.Generator) -> Tensor:
        """Latents of the picture drawn from the posterior with the generator of the picture that is made, as diffusers does."""
        return self.scaling.of(_sample(self.posterior, generator))

    def mode(self) -> Tensor:
        """The picture's most likely latents in the VAE's own scale, as editing checkpoints take them."""
        return _mode(self.posterior)

    def sample_masked(self, generator: torch.Generator) -> Tensor:
        return self.scaling.of(_sample(self.masked_posterior, generator))


def source(stage: EncodePicture, picture: Image.Image, mask: Image.Image | None, components: Components) -> Source:
    """Encodes `picture` (RGB) and `mask` (L, as large; white is repainted); the steps and the order are diffusers'."""
    if mask is not None and mask.size != picture.size:
        sizes = f"the mask is {mask.width}×{mask.height}, the picture {picture.width}×{picture.height}"
        raise BadPicture(f"The mask must be as large as the picture; {sizes}.", "mask_image")
    size = (stage.width, stage.height)
    pixels = _pixels(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)) * 2 - 1
    posterior = _encode(pixels, components)
    scaling = Scaling.of_vae(components.vae)
    if mask is None:
        return Source(posterior, scaling, picture)
    repaint = (_pixels(mask.convert("L").resize(size, Image.Resampling.LANCZOS)) >= 0.5).float()
    masked = _encode(pixels * (repaint < 0.5), components)
    scale = components.vae_scale_factor
    small = torch.nn.functional.interpolate(repaint, size=(stage.height // scale, stage.width // scale))
    return Source(posterior, scaling, picture, small.to(components.device), masked, mask)


def encoded_picture(picture: Image.Image, components: Components) -> Tensor:
    """Latents (1, c, h, w) of an RGB picture, the most likely ones."""
    encoded = _encode(_pixels(picture.convert("RGB")) * 2 - 1, components)
    return Scaling.of_vae(components.vae).of(_mode(encoded))


def _pixels(picture: Image.Image) -> Tensor:
    """(1, channels, h, w) in 0..1, float32; not copied into another memory order, in which convolutions round otherwise."""
    array = np.array(picture, dtype=np.float32) / 255.0
    return torch.from_numpy(array.reshape(1, picture.height, picture.width, -1).transpose(0, 3, 1, 2))


def _encode(pixels: Tensor, components: Components) -> Any:
    placed = pixels.to(components.device, next(components.vae.parameters()).dtype)
    return with_less_memory(components.vae, lambda vae: vae.encode(placed.to(next(vae.parameters()))))


def _mode(encoded: Any) -> Tensor:
    return (encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents).float()


def _sample(encoded: Any, generator: torch.Generator) -> Tensor:
    """float32 latents; a VAE without a posterior (the tiny one) gives its only answer."""
    drawn = encoded.latent_dist.sample(generator) if hasattr(encoded, "latent_dist") else encoded.latents
    return drawn.float()
