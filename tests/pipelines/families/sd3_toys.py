"""A whole Stable Diffusion 3 at toy size: real classes, random weights, with or without T5."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from pipelines.components import Components
from pipelines.families import FAMILIES
from tests.pipelines.families.t5_toys import toy_t5, toy_t5_tokenizer
from tests.toys import toy_tokenizer

SD3 = FAMILIES["sd3"]
NAMES = ("transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3")
TOKENIZERS = {"text_encoder": "tokenizer", "text_encoder_2": "tokenizer_2", "text_encoder_3": "tokenizer_3"}


def toy_clip(vocabulary: int, width: int, projection: int, layers: int = 3, hidden_act: str = "quick_gelu") -> CLIPTextModelWithProjection:
    ends = {"bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1, "pad_token_id": vocabulary - 1}
    sizes = {"hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": 1, "num_hidden_layers": layers}
    return CLIPTextModelWithProjection(
        CLIPTextConfig(vocab_size=vocabulary, projection_dim=projection, hidden_act=hidden_act, **sizes, **ends)
    ).eval()


def toy_transformer(**config: Any) -> SD3Transformer2DModel:
    given = {
        "sample_size": 8, "in_channels": 16, "out_channels": 16, "num_layers": 3, "attention_head_dim": 8, "num_attention_heads": 2,
        "joint_attention_dim": 24, "caption_projection_dim": 16, "pooled_projection_dim": 20, "pos_embed_max_size": 16,
    }  # fmt: skip
    return SD3Transformer2DModel(**given | config).eval()


def toy_vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(4, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4, latent_channels=16, sample_size=64, layers_per_block=1, use_quant_conv=False, use_post_quant_conv=False,
        scaling_factor=1.5305, shift_factor=0.0609,
    ).eval()  # fmt: skip


def toy_parts(folder: Path, seed: int = 0, with_t5: bool = True, **transformer: Any) -> dict[str, Any]:
    """The arguments of diffusers' StableDiffusion3 pipelines; `folder` is where the tokenizers' files are written."""
    tokenizers = {name: toy_tokenizer(folder / name) for name in ("tokenizer", "tokenizer_2")}
    vocabulary = len(tokenizers["tokenizer"])
    torch.manual_seed(seed)
    return {
        **tokenizers,
        "tokenizer_3": toy_t5_tokenizer(folder / "tokenizer_3") if with_t5 else None,
        "text_encoder": toy_clip(vocabulary, 8, 8),
        "text_encoder_2": toy_clip(vocabulary, 16, 12),
        "text_encoder_3": toy_t5() if with_t5 else None,
        "transformer": toy_transformer(**transformer),
        "vae": toy_vae(),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0),
    }


def components(parts: Mapping[str, Any], folder: Path, **more: Any) -> Components:
    """The same as the engine gets them; `folder` is where `toy_parts` wrote the tokenizers."""
    present = [name for name in NAMES if parts[name] is not None]
    return Components(
        checkpoint="toy",
        vae_name="automatic",
        family=SD3,
        modules={name: parts[name] for name in present},
        tokenizers={name: SD3.load_tokenizer(name, folder / file) for name, file in TOKENIZERS.items() if name in present},
        scheduler_config={"_class_name": type(parts["scheduler"]).__name__, **parts["scheduler"].config},
        device=torch.device("cpu"),
        dtype=torch.float32,
        latent_rgb_factors=SD3.latent_rgb_factors,
        latent_rgb_bias=SD3.latent_rgb_bias,
        **more,
    )


def save_toy(folder: Path, **given: Any) -> Path:
    """A toy checkpoint as a diffusers folder; returns `folder`."""
    StableDiffusion3Pipeline(**toy_parts(folder.parent / f".{folder.name}", **given)).save_pretrained(folder)
    return folder
