"""What a model family is: data, and the name of the module that holds its code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from ..components import Components, Conditioning


@dataclass(frozen=True)
class Signature:
    """What a checkpoint is told by, read from its index or header and never from its weights.

    `pipeline` is the diffusers class a folder names ("" for a single file); `text_encoder` a transformers class or
    "OpenCLIP"; `text_width` the width of the text the UNet attends to; `in_channels` what the UNet takes;
    `pooled` whether it also takes a pooled text or class.
    """

    pipeline: str
    text_encoder: str
    text_width: int
    in_channels: int
    latent_channels: int
    pooled: bool = False


@dataclass(frozen=True)
class FileLayout:
    """How a single file of the family is laid out, and what its shapes do not tell.

    `text` is the naming of the text encoder, "clip" or "open_clip", found under the first of `text_prefixes` that occurs.
    """

    text: str
    text_prefixes: tuple[str, ...]
    unet_heads: int | None = None
    unet_head_width: int | None = None
    most_text_layers: int = 256
    pad_token: str = "<|endoftext|>"
    vae_config: Mapping[str, Any] = field(default_factory=lambda: {"scaling_factor": 0.18215})
    scheduler_config: Mapping[str, Any] = field(default_factory=dict)
    v_prediction_mark: tuple[str, float] | None = None  # a tensor whose spread is above this in v-prediction models


class FamilyCode(Protocol):
    """The module behind `Family.code`; it may import torch."""

    def encode_prompt(self, components: "Components", prompt: str, clip_skip: int) -> "Conditioning": ...
    def pair(self, a: "Conditioning", b: "Conditioning") -> "tuple[Conditioning, Conditioning]": ...
    def predict(
        self, denoiser: "torch.nn.Module", latents: "torch.Tensor", timesteps: "torch.Tensor", conditioning: "Conditioning"
    ) -> "torch.Tensor": ...
    def load_tokenizer(self, folder: "Path | None", pad_token: str) -> Any: ...


@dataclass(frozen=True)
class Family:
    """One row of the table of families. Families are asked in the table's order; the first that recognises a checkpoint has it.

    `latent_rgb_factors` (one row of 3 per latent channel) and `latent_rgb_bias` turn latents into RGB in [-1, 1].
    `tiny_decoder_files` are names looked for in the folders of approximate VAEs. `recommended` are fields of a request.
    """

    name: str
    title: str
    native_size: tuple[int, int]
    pipelines: frozenset[str]
    layout: FileLayout
    latent_rgb_factors: tuple[tuple[float, ...], ...]
    latent_rgb_bias: tuple[float, ...]
    tiny_decoder_files: tuple[str, ...]
    text_width: int | None = None  # None: any
    tasks: tuple[str, ...] = ("txt2img", "img2img", "inpaint")
    recommended: Mapping[str, Any] = field(default_factory=dict)
    code: str = "pipelines.families.clip_unet"

    def recognise(self, signature: Signature) -> bool:
        if signature.text_encoder == "OpenCLIP":
            fits = self.layout.text == "open_clip"
        else:
            fits = signature.text_encoder in ("", "CLIPTextModel") and self.text_width in (None, signature.text_width)
        runs = not signature.pipeline or signature.pipeline in self.pipelines
        return fits and runs and signature.in_channels == signature.latent_channels and not signature.pooled

    def encode_prompt(self, components: "Components", prompt: str, clip_skip: int = 0) -> "Conditioning":
        """What the denoiser is told for one prompt: {"encoder_hidden_states": (1, 77 * chunks, width)}.

        `clip_skip` last layers of the text encoder are left out, as diffusers counts them. Raises `InvalidRequest` when
        the encoder has not that many.
        """
        return self._code().encode_prompt(components, prompt, clip_skip)

    def pair(self, a: "Conditioning", b: "Conditioning") -> "tuple[Conditioning, Conditioning]":
        """Both made equally long, so that they fit into one batch."""
        return self._code().pair(a, b)

    def predict(
        self, denoiser: "torch.nn.Module", latents: "torch.Tensor", timesteps: "torch.Tensor", conditioning: "Conditioning"
    ) -> "torch.Tensor":
        """The denoiser's raw output, (b, c, h, w) in the dtype of `latents` (b, c, h, w); `timesteps` is (b,)."""
        return self._code().predict(denoiser, latents, timesteps, conditioning)

    def load_tokenizer(self, folder: "Path | None") -> Any:
        """The tokenizer in a folder, or the family's own for a single file. Raises `CheckpointError`."""
        return self._code().load_tokenizer(folder, self.layout.pad_token)

    def _code(self) -> FamilyCode:
        return cast(FamilyCode, resolve_name(self.code))
