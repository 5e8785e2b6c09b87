"""Checkpoints of true size with random weights, as single files in the original layout: they cost what real ones cost."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipelines.families import keys

BLOCK = 2**22
_CROSS = "CrossAttnDownBlock2D"
UNET = {
    "block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768, "attention_head_dim": 8, "sample_size": 64,
    "down_block_types": (_CROSS, _CROSS, _CROSS, "DownBlock2D"), "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
}  # fmt: skip
VAE = {
    "block_out_channels": (128, 256, 512, 512), "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4, "layers_per_block": 2, "latent_channels": 4, "sample_size": 512,
}  # fmt: skip
CLIP = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "vocab_size": 49_408,
    "bos_token_id": 49_406, "eos_token_id": 49_407, "pad_token_id": 49_407, "hidden_act": "quick_gelu", "projection_dim": 768,
}  # fmt: skip
PREFIXES = {"unet": "model.diffusion_model.", "vae": "first_stage_model.", "text_encoder": "cond_stage_model.transformer.text_model."}


def sd15() -> dict[str, torch.nn.Module]:
    """Stable Diffusion 1.5's modules without memory for their weights."""
    with torch.device("meta"):
        text = CLIPTextModel(CLIPTextConfig(**CLIP))
        return {"unet": UNet2DConditionModel(**UNET), "vae": AutoencoderKL(**VAE), "text_encoder": text}


def save_sd15(path: Path, seeds: Mapping[str, int], dtype: torch.dtype = torch.float16) -> Path:
    """One file, 2.1 GB in float16; components of equal seeds are equal."""
    tensors = {}
    for name, module in sd15().items():
        config = module.config.to_dict() if hasattr(module.config, "to_dict") else dict(module.config)
        pairs = {"unet": keys.unet, "vae": keys.vae, "text_encoder": keys.clip}[name](config)
        state = module.state_dict()
        draw = _weights(seeds[name], dtype)
        for ours, original in pairs:
            tensors[PREFIXES[name] + original] = next(draw)(state[ours].shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path


def _weights(seed: int, dtype: torch.dtype) -> Iterator[Callable[[torch.Size], torch.Tensor]]:
    """Draws; the same few million numbers from other places, for nothing here looks at their values."""
    block = (torch.randn(BLOCK, generator=torch.Generator().manual_seed(seed)) * 0.02).to(dtype).repeat(2)
    place = 0

    def drawn(shape: torch.Size, place: int) -> torch.Tensor:
        count = shape.numel()
        numbers = block[place : place + count] if count <= BLOCK else block.repeat(-(-count // len(block)))[:count]
        return numbers.reshape(shape).clone()

    while True:
        place = (place + 7919) % BLOCK
        yield partial(drawn, place=place)


def configurations(folder: Path) -> Path:
    """What diffusers' `from_single_file` wants as `config` besides a tokenizer."""
    index = {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1", "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
    }  # fmt: skip
    scheduler = {
        "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1,
        "clip_sample": False, "set_alpha_to_one": False,
    }  # fmt: skip
    written = {
        "model_index.json": index, "scheduler/scheduler_config.json": scheduler,
        **{f"{name}/config.json": {**sd15()[name].config} for name in ("unet", "vae")},  # diffusers asks for all of their defaults
        "text_encoder/config.json": {**CLIP, "model_type": "clip_text_model", "architectures": ["CLIPTextModel"]},
    }  # fmt: skip
    for name, found in written.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(found))
    return folder


XL_UNET = {
    "block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048, "attention_head_dim": (5, 10, 20), "sample_size": 128,
    "down_block_types": ("DownBlock2D", _CROSS, _CROSS), "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10), "use_linear_projection": True, "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
}  # fmt: skip
BIG_CLIP = {**CLIP, "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
            "hidden_act": "gelu", "projection_dim": 1280}  # fmt: skip


def sdxl() -> dict[str, torch.nn.Module]:
    """Stable Diffusion XL's modules without memory for their weights."""
    with torch.device("meta"):
        return {
            "unet": UNet2DConditionModel(**XL_UNET),
            "vae": AutoencoderKL(**{**VAE, "sample_size": 1024, "scaling_factor": 0.13025}),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**CLIP)),
            "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**BIG_CLIP)),
        }


def filled(module: torch.nn.Module, device: str, dtype: torch.dtype) -> torch.nn.Module:
    """Random weights of a spread at which activations neither vanish nor overflow."""
    module = module.to(dtype).to_empty(device=device)
    for name, tensor in module.state_dict(keep_vars=True).items():
        with torch.no_grad():
            if tensor.ndim < 2:
                tensor.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
            else:
                tensor.normal_(0, tensor[0].numel() ** -0.5)
    for name, buffer in module.named_buffers():
        if name.endswith("position_ids"):
            buffer.copy_(torch.arange(buffer.shape[-1])[None])
    return module.eval().requires_grad_(False)
