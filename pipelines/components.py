"""The parts of one loaded model, as the manager hands them to the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from .families.family import Looks

if TYPE_CHECKING:
    from .adapters.vocabulary import EmbeddingShelf
    from .families import Family

Conditioning = Mapping[str, torch.Tensor]
"""What the denoiser is told besides latents and time: named tensors, each (rows, ...), batched along the first axis."""


@dataclass(frozen=True)
class Components:
    """Shared modules in evaluation mode on `device`; nobody keeps state in them between requests.

    `modules` have diffusers' names of components ("text_encoder", "text_encoder_2", "unet", "vae", ...), and each of
    `tokenizers` (a `ClipTokenizer` for CLIP) that of its text encoder; "tiny_decoder", an `AutoencoderTiny` for previews,
    may be among the modules. `scheduler_config` is the checkpoint's own scheduler configuration (diffusers' keys),
    `pipeline_config` what diffusers' pipeline of it is told. `hashes` maps a component to the SHA-256 of its weights; reading
    one waits until it is computed, so it is for recipes. `fingerprints` says at once whether two components are the same.
    `embeddings` are the textual inversions that prompts may name.
    """

    checkpoint: str
    vae_name: str
    family: "Family"
    modules: Mapping[str, torch.nn.Module]
    tokenizers: Mapping[str, Any]
    scheduler_config: Mapping[str, Any]
    device: torch.device
    dtype: torch.dtype
    latent_rgb_factors: tuple[tuple[float, ...], ...] = ()  # one row of 3 per latent channel; output in [-1, 1]
    latent_rgb_bias: tuple[float, ...] = (0.0, 0.0, 0.0)
    hashes: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    embeddings: "EmbeddingShelf | None" = None
    pipeline_config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text_encoder(self) -> Any:
        return self.modules["text_encoder"]

    @property
    def tokenizer(self) -> Any:
        return self.tokenizers["text_encoder"]

    @property
    def denoiser(self) -> Any:
        return self.modules[self.family.denoiser]

    def denoiser_called(self, component: str) -> Any:
        """One of several denoisers; "" is the family's first."""
        return self.modules[component or self.family.denoiser]

    @property
    def vae(self) -> Any:
        return self.modules["vae"]

    @property
    def tiny_decoder(self) -> Any | None:
        return self.modules.get("tiny_decoder")

    @property
    def vae_scale_factor(self) -> int:
        """Pixels per latent along one side: 8 for Stable Diffusion."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    def looks(self, channels: int) -> "Looks":
        """How latents of so many channels look."""
        own = Looks(self.latent_rgb_factors, self.latent_rgb_bias, self.vae_scale_factor)
        return self.family.looks.get(channels, own)

    @property
    def size_multiple(self) -> int:
        """Width and height in pixels are multiples of this: 8 for Stable Diffusion, 16 where the denoiser sees patches."""
        return self.vae_scale_factor * self.family.latent_multiple

    @property
    def latent_channels(self) -> int:
        return int(self.vae.config.latent_channels)

    def with_modules(self, **modules: torch.nn.Module) -> "Components":
        return replace(self, modules={**self.modules, **modules})
