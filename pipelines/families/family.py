"""What a model family is: data, and the names of the modules that hold its code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol, cast

from ..headers import Header
from ..names import Kind
from .parts import Part

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from ..components import Components, Conditioning
    from ..plan import EncodePrompt, OpenClip, Stages
    from ..prompts.tree import Part as PromptPart
    from ..request import Request
    from .joined_text import TextFile


@dataclass(frozen=True)
class Parted:
    """A checkpoint taken apart. `parts` and `tokenizers` go by diffusers' names of components; a tokenizer is a folder, or
    None for the family's own. `tiny` is the checkpoint's small decoder for previews, `header` a single file's.

    `tasks` are those it can do where they are not all of the family's. `native_size` is what it was trained at, if it tells.
    `v_prediction_mark` names a tensor of the file whose spread is above the number in models that predict velocity.
    `recommended` are fields of a request that suit it better than the family's. `notice` is a sentence about what it lacks and
    can do without. `pipeline_config` is what diffusers' pipeline of it is told
    besides its components, by diffusers' names.
    """

    family: "Family"
    parts: Mapping[str, Part]
    scheduler_config: Mapping[str, Any]
    tokenizers: Mapping[str, Path | None]
    tiny: Part | None = None
    header: Header | None = None
    tasks: tuple[str, ...] | None = None
    native_size: tuple[int, int] | None = None
    v_prediction_mark: tuple[str, float] | None = None
    recommended: Mapping[str, Any] = field(default_factory=dict)
    notice: str = ""
    pipeline_config: Mapping[str, Any] = field(default_factory=dict)


_resolved = cache(resolve_name)  # asked at every step, and slow


class FamilyFiles(Protocol):
    """The module behind `Family.files`: free of torch, it says what a checkpoint on disk is, from names and shapes alone.

    Each function gives None for what is not of `family`, and raises `CheckpointError` for what is and cannot be used.
    """

    def folder(self, family: "Family", path: Path, index: Mapping[str, Any]) -> Parted | None: ...
    def file(self, family: "Family", header: Header) -> Parted | None: ...


class FamilyCode(Protocol):
    """The module behind `Family.code`; it may import torch."""

    def encode(self, components: "Components", prompts: "Sequence[PromptPart]", stage: "EncodePrompt") -> "Conditioning": ...
    def align(self, conditionings: "Sequence[Conditioning]") -> "list[Conditioning]": ...
    def predict(
        self, denoiser: "torch.nn.Module", latents: "torch.Tensor", timesteps: "torch.Tensor", conditioning: "Conditioning"
    ) -> "torch.Tensor": ...

    # A family whose negative prompts are told otherwise than its prompts also has `encode_negative`, like `encode`; one whose
    # pictures take other stages than those of `plan` has `staged(stages, request, components)`, which gives them; one that makes
    # clips has `encode_opening(components, picture, stage)`.
    def load_tokenizer(self, family: "Family", component: str, folder: Path | None) -> Any: ...


@dataclass(frozen=True)
class Looks:
    """How latents look: `rgb_factors` (one row of 3 per channel) and `rgb_bias` turn them into RGB in [-1, 1]; `scale` is pixels
    per latent along one side."""

    rgb_factors: tuple[tuple[float, ...], ...]
    rgb_bias: tuple[float, ...] = (0.0, 0.0, 0.0)
    scale: float = 8.0


@dataclass(frozen=True)
class Family:
    """One row of the table of families. Families are asked in the table's order; the first that recognises a checkpoint has it.

    `latent_rgb_factors` (one row of 3 per latent channel) and `latent_rgb_bias` turn latents into RGB in [-1, 1].
    `tiny_decoder_files` are names looked for in the folders of approximate VAEs. `recommended` are fields of a request.
    `settings` is data for the family's own modules. `noise` says how latents and noise mix, and so which samplers fit.
    Latents have a multiple of `latent_multiple` along both sides (transformers see patches of them). `from_shelf` names the component
    that may lie in a file of its own on the shelf of text encoders. `looks` is how latents look that
    the VAE does not know, by their number of channels. `pieces` are components whose files may lie apart, and the words for each:
    the first names the checkpoint, the others complete it. `denoiser` makes the latents that the VAE decodes, `more_denoisers` what
    it is told (see `Denoise.conditioned`). A `patch` of latents along one side takes the memory of one. CLIP text
    encoders are read at their `text_layer`, counted from the last, before any layer is skipped.
    """

    name: str
    title: str
    native_size: tuple[int, int]
    pipelines: frozenset[str]
    files: str
    code: str
    latent_rgb_factors: tuple[tuple[float, ...], ...]
    latent_rgb_bias: tuple[float, ...]
    tiny_decoder_files: tuple[str, ...] = ()
    settings: Any = None
    denoiser: str = "unet"
    noise: Kind = "diffusion"
    latent_multiple: int = 1
    from_shelf: str = ""
    tasks: tuple[str, ...] = ("txt2img", "img2img", "inpaint")
    recommended: Mapping[str, Any] = field(default_factory=dict)
    looks: Mapping[int, Looks] = field(default_factory=dict)
    pieces: Mapping[str, str] = field(default_factory=dict)
    more_denoisers: tuple[str, ...] = ()
    patch: int = 1
    text_layer: int = 1

    @property
    def denoisers(self) -> tuple[str, ...]:
        return self.denoiser, *self.more_denoisers

    @property
    def leading(self) -> str:
        """The component that a checkpoint goes by, and whose weights tell one from another."""
        return next(iter(self.pieces), self.denoiser)

    def read_folder(self, path: Path, index: Mapping[str, Any]) -> Parted | None:
        """A diffusers folder taken apart if it is of this family; `index` is its model_index.json. Raises `CheckpointError`."""
        return self._files().folder(self, path, index)

    def read_file(self, header: Header) -> Parted | None:
        """A single file taken apart if it is of this family. Raises `CheckpointError`."""
        return self._files().file(self, header)

    def text_part(self, file: "TextFile", parts: Mapping[str, Part]) -> Part | None:
        """The text encoder that a file of its own holds, where it completes `parts`; only families in `pieces` look for one."""
        found = getattr(self._files(), "text_encoder", None)
        return None if found is None else found(file, parts)

    def encode(self, components: "Components", prompts: "Sequence[PromptPart]", stage: "EncodePrompt") -> "Conditioning":
        """What the denoiser is told for one prompt: named tensors (1, ...), such as "encoder_hidden_states" (1, tokens, width).

        `prompts` has one prompt for each text encoder; the last holds for those that follow. Raises `InvalidRequest` for a
        `clip_skip` that the encoder has not the layers for.
        """
        return self._code().encode(components, prompts, stage)

    def encode_negative(self, components: "Components", prompts: "Sequence[PromptPart]", stage: "EncodePrompt") -> "Conditioning":
        """What the denoiser is told for what is not wanted; like `encode`, which is the same for most families."""
        code = self._code()
        return getattr(code, "encode_negative", code.encode)(components, prompts, stage)

    def staged(self, stages: "Stages", request: "Request", components: "Components") -> "Stages":
        """The stages of a picture as this family makes it, from those that most take. Raises `InvalidRequest`."""
        change = getattr(self._code(), "staged", None)
        return stages if change is None else change(stages, request, components)

    def encode_opening(self, components: "Components", picture: "Image.Image", stage: "OpenClip") -> "Conditioning":
        """What the denoiser is told of the picture (RGB, in the shape of the clip) that a clip begins with, besides its latents: rows
        [negative, positive], or the positive alone where the clip is not guided."""
        return self._code().encode_opening(components, picture, stage)

    def align(self, conditionings: "Sequence[Conditioning]") -> "list[Conditioning]":
        """All made equally long, so that they fit into one batch; none changes its meaning by it."""
        return self._code().align(conditionings)

    def predict(
        self, denoiser: "torch.nn.Module", latents: "torch.Tensor", timesteps: "torch.Tensor", conditioning: "Conditioning"
    ) -> "torch.Tensor":
        """The denoiser's raw output in the shape and dtype of `latents`, (b, c, h, w), or (b, frames, c, h, w) of clips; `timesteps`
        is (b,)."""
        return self._code().predict(denoiser, latents, timesteps, conditioning)

    def load_tokenizer(self, component: str, folder: Path | None) -> Any:
        """The tokenizer of a text encoder: the one in a folder, or the family's own for a single file. Raises `CheckpointError`."""
        return self._code().load_tokenizer(self, component, folder)

    def _files(self) -> FamilyFiles:
        return cast(FamilyFiles, _resolved(self.files))

    def _code(self) -> FamilyCode:
        return cast(FamilyCode, _resolved(self.code))
