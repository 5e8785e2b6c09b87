"""PixArt-Σ, all in one file: a small transformer told by T5 alone, that predicts noise (and its variance, which is not used here).

Paper: PixArt-Σ: Weak-to-Strong Training of Diffusion Transformer for 4K Text-to-Image Generation (Chen et al. 2024).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..headers import Header
from . import t5
from .family import Family, Parted
from .parts import read_json
from .reading import VAES, folder_parts, native_size, own_tiny

if TYPE_CHECKING:
    import torch

    from ..components import Components, Conditioning
    from ..plan import EncodePrompt
    from ..prompts.tree import Part

MODEL = "PixArtTransformer2DModel"
LENGTHS = (300,)

PIXART_SIGMA = Family(
    name="pixart_sigma",
    title="PixArt-Σ",
    native_size=(1024, 1024),
    pipelines=frozenset({"PixArtSigmaPipeline"}),
    files=__name__,
    code=__name__,
    # its latents are those of Stable Diffusion XL
    latent_rgb_factors=((0.3654, 0.4090, 0.4122), (-0.2140, -0.0236, 0.0518), (0.0823, 0.0939, -0.0141), (-0.2712, -0.2116, -0.2069)),
    latent_rgb_bias=(0.1184, -0.0034, -0.0305),
    tiny_decoder_files=("taesdxl_decoder.safetensors",),
    denoiser="transformer",
    latent_multiple=2,
    recommended={"scheduler": "dpmpp_2m", "schedule": "karras", "num_inference_steps": 20, "guidance_scale": 4.5},
)


def folder(family: Family, path: Path, index: Mapping[str, Any]) -> Parted | None:
    """See `FamilyFiles`. Its first releases name the class that diffusers then had for all transformers."""
    parts = folder_parts(path, {"transformer": (MODEL, "Transformer2DModel"), "vae": VAES, "text_encoder": ("T5EncoderModel",)})
    parts["transformer"] = replace(parts["transformer"], architecture=MODEL)
    return Parted(
        family,
        parts,
        read_json(path / "scheduler" / "scheduler_config.json"),
        {"text_encoder": t5.tokenizer_folder(path, "tokenizer")},
        own_tiny(path / "vae_tiny"),
        native_size=native_size(parts["transformer"].config.get("sample_size"), parts["vae"].config),
    )


def file(family: Family, header: Header) -> Parted | None:
    """See `FamilyFiles`: there are no single files with T5 in them."""
    return None


def encode(components: "Components", prompts: "Sequence[Part]", stage: "EncodePrompt") -> "Conditioning":
    """See `Family.encode`: T5's states of the words, written small as in training, and a mask that is 0 on padding."""
    sections = tuple(tuple(replace(span, text=span.text.lower()) for span in section) for section in prompts[0].sections)
    small = replace(prompts[0], sections=sections)
    states, mask = t5.encode(components, "text_encoder", small, stage.emphasis, LENGTHS, masked=True)
    return {"encoder_hidden_states": states, "encoder_attention_mask": mask.to(states.dtype)}


def align(conditionings: "Sequence[Conditioning]") -> "list[Conditioning]":
    """See `Family.align`. What is added is masked."""
    from torch.nn.functional import pad  # the page lists families and must not load torch

    length = max(told["encoder_attention_mask"].shape[1] for told in conditionings)

    def longer(tensor: "torch.Tensor") -> "torch.Tensor":
        return pad(tensor, (0, 0) * (tensor.ndim - 2) + (0, length - tensor.shape[1]))

    return [{name: longer(tensor) for name, tensor in told.items()} for told in conditionings]


def predict(
    denoiser: "torch.nn.Module", latents: "torch.Tensor", timesteps: "torch.Tensor", conditioning: "Conditioning"
) -> "torch.Tensor":
    """See `Family.predict`. A blend of texts is looked at wherever one of them is."""
    dtype = next(denoiser.parameters()).dtype
    output = denoiser(
        latents.to(dtype),
        timestep=timesteps,
        encoder_hidden_states=conditioning["encoder_hidden_states"].to(dtype),
        encoder_attention_mask=conditioning["encoder_attention_mask"] > 0,
        added_cond_kwargs={"resolution": None, "aspect_ratio": None},
        return_dict=False,
    )[0]
    return output[:, : latents.shape[1]].to(latents.dtype)


def load_tokenizer(family: Family, component: str, folder: Path | None) -> Any:
    """See `Family.load_tokenizer`."""
    assert folder is not None
    return t5.load_tokenizer(folder)
