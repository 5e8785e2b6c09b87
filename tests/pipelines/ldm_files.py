"""Toy checkpoints as single files in Stable Diffusion's original layout, with the heads and groups that shapes imply."""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from pipelines.families import keys

PREFIXES = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "clip": "cond_stage_model.transformer.text_model.",
    "open_clip": "cond_stage_model.model.",
}


def components(seed: int = 0, open_clip: bool = False) -> dict[str, torch.nn.Module]:
    """UNet, VAE and text encoder; the text encoder takes CLIP's real vocabulary."""
    torch.manual_seed(seed)
    heads = {"attention_head_dim": (1, 1), "use_linear_projection": True} if open_clip else {"attention_head_dim": 8}
    return {
        "unet": UNet2DConditionModel(
            sample_size=8, block_out_channels=(8, 16), layers_per_block=2, norm_num_groups=8, cross_attention_dim=16,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **heads,
        ).eval(),
        "vae": AutoencoderKL(
            block_out_channels=(4, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            norm_num_groups=4, layers_per_block=2, latent_channels=4,
        ).eval(),
        "text_encoder": CLIPTextModel(
            CLIPTextConfig(
                vocab_size=49408, hidden_size=16, intermediate_size=32, num_attention_heads=1, num_hidden_layers=3,
                bos_token_id=49406, eos_token_id=49407, hidden_act="gelu" if open_clip else "quick_gelu",
            )
        ).eval(),
    }  # fmt: skip


def original(modules: dict[str, torch.nn.Module], open_clip: bool = False) -> dict[str, torch.Tensor]:
    """Their weights under the original names, with the odds and ends that real files carry."""
    text = "open_clip" if open_clip else "clip"
    tensors: dict[str, torch.Tensor] = {"alphas_cumprod": torch.linspace(1, 0, 1000), "model_ema.decay": torch.tensor(1.0)}
    for name, layout in (("unet", "unet"), ("vae", "vae"), ("text_encoder", text)):
        if name in modules:
            state = modules[name].state_dict()
            tensors.update(_renamed(state, dict(getattr(keys, layout)(_config(modules[name]))), PREFIXES[layout]))
    for name in [name for name in tensors if "mid.attn_1" in name and name.endswith(".weight") and "norm" not in name]:
        tensors[name] = tensors[name][:, :, None, None]
    if not open_clip:
        tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _config(module: torch.nn.Module) -> dict[str, Any]:
    return module.config.to_dict() if hasattr(module.config, "to_dict") else dict(module.config)


def _renamed(state: dict[str, torch.Tensor], names: dict[str, str], prefix: str) -> dict[str, torch.Tensor]:
    assert set(names) == set(state)
    whole = {prefix + old: state[name] for name, old in names.items() if ":" not in old}
    thirds = {old: state[name] for name, old in names.items() if ":" in old}
    joined = {old.partition(":")[0] for old in thirds}
    return whole | {prefix + old: torch.cat([thirds[f"{old}:{third}"] for third in range(3)]) for old in joined}


def save(
    path: Path, seed: int = 0, open_clip: bool = False, dtype: torch.dtype = torch.float32, without: str = "-"
) -> dict[str, torch.nn.Module]:
    """Writes the file, less the weights whose name contains `without`; gives the modules it was made of."""
    modules = components(seed, open_clip)
    tensors = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in original(modules, open_clip).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor for name, tensor in tensors.items() if without not in name}, path)
    return modules
