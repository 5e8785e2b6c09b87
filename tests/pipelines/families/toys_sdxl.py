"""Stable Diffusion XL and its refiner at toy size: real classes, random weights; as pipeline arguments, components and files."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipelines.components import Components
from pipelines.families import FAMILIES, keys
from pipelines.prompts.clip_tokenizer import ClipTokenizer
from tests.toys import toy_tokenizer

POOLED, TIME = 20, 8
REAL_VOCABULARY = 49_408
SCHEDULER = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1, "timestep_spacing": "leading"}


def modules(vocabulary: int, seed: int = 0, refiner: bool = False, in_channels: int = 4) -> dict[str, torch.nn.Module]:
    """Heads and groups as shapes imply them, so that they can be read back from a single file."""
    torch.manual_seed(seed)
    told, width = (5, 24) if refiner else (6, 16 + 24)
    found: dict[str, torch.nn.Module] = {
        "unet": UNet2DConditionModel(
            sample_size=8, in_channels=in_channels, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=8,
            cross_attention_dim=width, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=(1, 2), attention_head_dim=(1, 1),
            use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=TIME,
            projection_class_embeddings_input_dim=told * TIME + POOLED,
        ),
        "vae": AutoencoderKL(
            block_out_channels=(4, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            norm_num_groups=4, latent_channels=4, scaling_factor=0.13025, force_upcast=True, sample_size=64,
        ),
        "text_encoder_2": CLIPTextModelWithProjection(_text(vocabulary, 24, "gelu", projection_dim=POOLED)),
    }  # fmt: skip
    if not refiner:
        found["text_encoder"] = CLIPTextModel(_text(vocabulary, 16, "quick_gelu"))
    return {name: module.eval() for name, module in found.items()}


def _text(vocabulary: int, width: int, act: str, **more: Any) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=32, num_attention_heads=1, num_hidden_layers=3, hidden_act=act,
        bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1, **more,
    )  # fmt: skip


def arguments(folder: Path, seed: int = 0, refiner: bool = False, in_channels: int = 4, **scheduler: Any) -> dict[str, Any]:
    """Those of diffusers' XL pipelines; `folder` is where the tokenizer's files are written."""
    tokenizer = toy_tokenizer(folder)
    given = modules(len(tokenizer), seed, refiner, in_channels)
    return {
        **given,
        "text_encoder": given.get("text_encoder"),
        "tokenizer": None if refiner else tokenizer,
        "tokenizer_2": tokenizer,
        "scheduler": EulerDiscreteScheduler(**SCHEDULER | scheduler),
        "force_zeros_for_empty_prompt": not refiner,
    }


def components(parts: dict[str, Any], name: str = "toy") -> Components:
    """The same as the engine gets them."""
    family = FAMILIES["sdxl" if parts["text_encoder"] is not None else "sdxl_refiner"]
    tokenizer = ClipTokenizer(parts["tokenizer_2"].get_vocab(), [])
    encoders = [component for component in ("text_encoder", "text_encoder_2") if parts[component] is not None]
    zeros = parts["force_zeros_for_empty_prompt"]
    return Components(
        checkpoint=name,
        vae_name="automatic",
        family=family,
        modules={component: parts[component] for component in (*encoders, "unet", "vae")},
        tokenizers=dict.fromkeys(encoders, tokenizer),
        scheduler_config=dict(parts["scheduler"].config),
        device=torch.device("cpu"),
        dtype=torch.float32,
        latent_rgb_factors=family.latent_rgb_factors,
        latent_rgb_bias=family.latent_rgb_bias,
        pipeline_config={"force_zeros_for_empty_prompt": zeros, "requires_aesthetics_score": family.name == "sdxl_refiner"},
    )


def save_folder(folder: Path, refiner: bool = False, **kwargs: Any) -> Path:
    """A checkpoint in diffusers' layout; returns `folder`."""
    parts = arguments(folder.parent / f".{folder.name}.tokenizer", refiner=refiner, **kwargs)
    if refiner:
        pipeline = StableDiffusionXLImg2ImgPipeline(**parts, requires_aesthetics_score=True, add_watermarker=False)
    else:
        pipeline = StableDiffusionXLPipeline(**parts, add_watermarker=False)
    pipeline.save_pretrained(folder)
    return folder


def save_file_of(
    path: Path, refiner: bool = False, without: str = "-", more: tuple[str, ...] = (), **kwargs: Any
) -> dict[str, torch.nn.Module]:
    """A checkpoint as one file in the original layout, less the weights whose names contain `without`, and with empty tensors
    called `more`; gives the modules it was made of."""
    made = modules(REAL_VOCABULARY, refiner=refiner, **kwargs)
    tensors = {name: torch.zeros(0) for name in ("denoiser.sigmas", *more)}
    for name, module in made.items():
        tensors |= _original(name, module, refiner)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items() if without not in name}, path)
    return made


def _original(name: str, module: torch.nn.Module, refiner: bool) -> dict[str, torch.Tensor]:
    config = module.config.to_dict() if hasattr(module.config, "to_dict") else dict(module.config)
    prefix, pairs = {
        "unet": ("model.diffusion_model.", keys.unet),
        "vae": ("first_stage_model.", keys.vae),
        "text_encoder": ("conditioner.embedders.0.transformer.text_model.", keys.clip),
        "text_encoder_2": (f"conditioner.embedders.{0 if refiner else 1}.model.", keys.open_clip_with_projection),
    }[name]
    state = module.state_dict()
    whole: dict[str, torch.Tensor] = {}
    thirds: dict[str, list[torch.Tensor]] = {}
    for new, old in pairs(config):
        old, _, form = old.partition(":")
        if form.isdigit():
            thirds.setdefault(prefix + old, []).append(state[new])
        else:
            whole[prefix + old] = state[new].T if form == "transposed" else state[new]
    return whole | {old: torch.cat(parts) for old, parts in thirds.items()}
