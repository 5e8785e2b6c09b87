"""The parts of one loaded model, as the manager hands them to the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from .families import Family

Conditioning = Mapping[str, torch.Tensor]
"""What the denoiser is told besides latents and time: named tensors, each (1, ...), batched along the first axis."""


@dataclass(frozen=True)
class Components:
    """Shared modules in evaluation mode on `device`; nobody keeps state in them between requests.

    `scheduler_config` is the checkpoint's own scheduler configuration (diffusers' keys). `tiny_decoder` is an
    `AutoencoderTiny` for previews, or None. `hashes` maps a component to the SHA-256 of its weights; reading one waits
    until it is computed, so it is for recipes. `fingerprints` says at once whether two components are the same.
    """

    checkpoint: str
    vae_name: str
    family: "Family"
    tokenizer: Any
    text_encoder: torch.nn.Module
    denoiser: torch.nn.Module
    vae: torch.nn.Module
    scheduler_config: Mapping[str, Any]
    device: torch.device
    dtype: torch.dtype
    tiny_decoder: torch.nn.Module | None = None
    latent_rgb_factors: tuple[tuple[float, ...], ...] = ()  # one row of 3 per latent channel; output in [-1, 1]
    latent_rgb_bias: tuple[float, ...] = (0.0, 0.0, 0.0)
    hashes: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def vae_scale_factor(self) -> int:
        """Pixels per latent along one side: 8 for Stable Diffusion, 4 for the built-in model."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def latent_channels(self) -> int:
        return int(self.vae.config.latent_channels)
