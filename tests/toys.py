"""A whole Stable Diffusion at toy size: real classes, a few thousand random weights, no download."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer


def toy_tokenizer(folder: Path) -> CLIPTokenizer:
    """Letters only: every word is spelled out, so a prompt of 80 letters is already more than one chunk."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def toy_components(folder: Path, seed: int = 0, prediction_type: str = "epsilon", in_channels: int = 4) -> dict[str, Any]:
    """The arguments of diffusers' StableDiffusion pipelines; `folder` is where the tokenizer's files are written."""
    tokenizer = toy_tokenizer(folder)
    bos, eos = len(tokenizer) - 2, len(tokenizer) - 1
    torch.manual_seed(seed)
    return {
        "tokenizer": tokenizer,
        "text_encoder": CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=16,
                intermediate_size=32,
                num_attention_heads=2,
                num_hidden_layers=3,
                bos_token_id=bos,
                eos_token_id=eos,
                pad_token_id=eos,
                projection_dim=16,
            )
        ).eval(),
        "unet": UNet2DConditionModel(
            sample_size=8,
            in_channels=in_channels,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=16,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            attention_head_dim=4,
        ).eval(),
        "vae": AutoencoderKL(
            block_out_channels=(4, 8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            norm_num_groups=2,
            latent_channels=4,
            sample_size=64,
        ).eval(),
        "scheduler": DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            prediction_type=prediction_type,
        ),
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }


def save_toy(folder: Path, seed: int = 0, dtype: torch.dtype = torch.float32, **kwargs: Any) -> Path:
    """A toy checkpoint as a diffusers folder; returns `folder`."""
    pipeline = StableDiffusionPipeline(**toy_components(folder.parent / f".{folder.name}.tokenizer", seed, **kwargs))
    pipeline.to(dtype).save_pretrained(folder)
    return folder


def toy_tiny_decoder(seed: int = 0) -> AutoencoderTiny:
    torch.manual_seed(seed)
    blocks = (4, 4, 4, 4)
    return AutoencoderTiny(
        encoder_block_out_channels=blocks,
        decoder_block_out_channels=blocks,
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    ).eval()
