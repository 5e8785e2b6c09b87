"""Pictures brought into the model's terms, once per job."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .components import Components
from .decode import with_less_memory
from .fill import filled
from .parameters import Content
from .plan import EncodePicture
from .resizing import resized
from .rounds import Round
from .samplers.philox import Numbers, normal


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
    """A picture to start from, as every picture that starts from it uses it.

    `posterior` is the VAE's answer for the picture; for inpainting `mask` (1, 1, h, w) in latent size has 1 where to
    repaint, and `masked_posterior` is the answer for the picture with that part in grey. With `soft` the mask's greys are strengths;
    `content` is what the masked part begins with. `size` (h, w) is what the picture's latents are brought to, None for as they are.
    """

    posterior: Any
    scaling: "Scaling"
    mask: Tensor | None = None
    masked_posterior: Any = None
    soft: bool = False
    content: Content = "original"
    size: tuple[int, int] | None = None

    def sample(self, generator: torch.Generator) -> Tensor:
        """Latents of the picture drawn from the posterior with the generator of the picture that is made, as diffusers does."""
        return self.scaling.of(self._sized(_sample(self.posterior, generator)))

    def mode(self) -> Tensor:
        """The picture's most likely latents in the VAE's own scale, as editing checkpoints take them."""
        return self._sized(_mode(self.posterior))

    def _sized(self, latents: Tensor) -> Tensor:
        if self.size is None or tuple(latents.shape[-2:]) == self.size:
            return latents
        return torch.nn.functional.interpolate(latents, self.size, mode="bilinear")

    def begun(self, latents: Tensor, numbers: Numbers) -> Tensor:
        """`latents` (1, c, h, w) of the picture with what the masked part is to hold before it is repainted."""
        if self.mask is None or self.content not in ("noise", "nothing"):
            return latents
        hole = (self.mask > 0).to(latents.dtype)
        held = normal(latents.shape, numbers).to(latents) if self.content == "noise" else torch.zeros_like(latents)
        return latents * (1 - hole) + held * hole

    def sample_masked(self, generator: torch.Generator) -> Tensor:
        return self.scaling.of(_sample(self.masked_posterior, generator))


def source(stage: EncodePicture, round: Round, canvas: Image.Image, components: Components) -> Source:
    """Encodes what the round takes of the canvas, and its mask; the steps and the order are diffusers'."""
    size, scale = (stage.width, stage.height), components.vae_scale_factor
    latent_size = stage.height // scale, stage.width // scale
    part = round.part(canvas)
    scaling = Scaling.of_vae(components.vae)
    if round.mask is None and round.resize == "latent":
        own = tuple(max(side // components.size_multiple, 1) * components.size_multiple for side in part.size)
        return Source(_encode(pixels_of(resized(part, own)) * 2 - 1, components), scaling, size=latent_size)
    fitted = resized(part, size, round.resize)
    if round.mask is None:
        return Source(_encode(pixels_of(fitted) * 2 - 1, components), scaling)
    painted = pixels_of(resized(round.mask, size, round.resize, ground=0))
    repaint = (painted > 0 if round.soft else painted >= 0.5).float()
    if round.content == "fill":
        fitted = filled(fitted, Image.fromarray(repaint[0, 0].mul(255).byte().numpy()))
    pixels = pixels_of(fitted) * 2 - 1
    posterior = _encode(pixels, components)
    masked = _encode(pixels * (repaint < 0.5), components)
    if round.soft:
        small = torch.nn.functional.adaptive_avg_pool2d(painted, latent_size)
    else:
        small = torch.nn.functional.interpolate(repaint, size=latent_size)
    return Source(posterior, scaling, small.to(components.device), masked, round.soft, round.content)


def encoded_picture(picture: Image.Image, components: Components) -> Tensor:
    """Latents (1, c, h, w) of an RGB picture, the most likely ones."""
    encoded = _encode(pixels_of(picture.convert("RGB")) * 2 - 1, components)
    return Scaling.of_vae(components.vae).of(_mode(encoded))


def latents_of(pixels: Tensor, components: Components) -> Tensor:
    """The most likely latents (1, c, h, w) of pixels (1, 3, h, w) in -1..1, in the VAE's own scale."""
    return _mode(_encode(pixels, components))


def pixels_of(picture: Image.Image) -> Tensor:
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
