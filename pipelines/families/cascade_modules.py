"""The modules of Stable Cascade. Its stage A, diffusers' PaellaVQModel, speaks as other VAEs do: of pixels in -1..1."""

from collections.abc import Mapping
from inspect import signature
from typing import Any, TypeVar

import torch
from diffusers import StableCascadeUNet
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.vq_model import VQEncoderOutput
from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel

Model = TypeVar("Model", "CascadeVae", StableCascadeUNet)


class CascadeVae(PaellaVQModel):
    """`scale_factor` is applied inside, where diffusers' pipeline applies it outside, so `scaling_factor` is 1."""

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        up_down_scale_factor: int = 2,
        levels: int = 2,
        bottleneck_blocks: int = 12,
        embed_dim: int = 384,
        latent_channels: int = 4,
        num_vq_embeddings: int = 8192,
        scale_factor: float = 0.3764,
        scaling_factor: float = 1.0,
        block_out_channels: tuple[int, ...] = (3, 192, 384),
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            up_down_scale_factor,
            levels,
            bottleneck_blocks,
            embed_dim,
            latent_channels,
            num_vq_embeddings,
            scale_factor,
        )
        self.vquantizer = torch.nn.Identity()  # latents are decoded as they are
        norm = self.down_blocks[-1][1]
        norm.num_batches_tracked, norm.track_running_stats = None, False  # it is not trained here, and a count is no weight

    def encode(self, x: torch.Tensor, return_dict: bool = True) -> VQEncoderOutput | tuple[torch.Tensor]:
        """Latents (b, 4, h / 4, w / 4) of pixels (b, 3, h, w) in -1..1."""
        latents = super().encode(x / 2 + 0.5, return_dict=False)[0] / self.config.scale_factor
        return VQEncoderOutput(latents) if return_dict else (latents,)

    def decode(self, h: torch.Tensor, return_dict: bool = True) -> DecoderOutput | tuple[torch.Tensor]:
        """Pixels (b, 3, h, w) in -1..1, not clamped."""
        pixels = super().decode(self.config.scale_factor * h, return_dict=False)[0] * 2 - 1
        return DecoderOutput(pixels) if return_dict else (pixels,)


def vae(config: Mapping[str, Any]) -> CascadeVae:
    return _made(CascadeVae, config)


def unet(config: Mapping[str, Any]) -> StableCascadeUNet:
    return _made(StableCascadeUNet, config)


def _made(kind: type[Model], config: Mapping[str, Any]) -> Model:
    """From the part of a configuration that the class knows; what a part of a checkpoint says besides is for its loading."""
    known = signature(kind.__init__).parameters
    return kind(**{name: value for name, value in config.items() if name in known})
