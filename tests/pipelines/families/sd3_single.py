"""A toy Stable Diffusion 3 as a single file in the original layout, with CLIP's real vocabulary and with T5 or without."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from pipelines.families import keys, sd3_keys
from tests.pipelines.families.sd3_toys import toy_clip, toy_transformer, toy_vae
from tests.pipelines.families.t5_toys import toy_t5

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP_L, CLIP_G, T5 = (f"text_encoders.{name}.transformer." for name in ("clip_l", "clip_g", "t5xxl"))


def modules(with_t5: bool = True, **transformer: object) -> dict[str, torch.nn.Module]:
    torch.manual_seed(1)
    found = {
        "transformer": toy_transformer(attention_head_dim=16, num_attention_heads=1, **transformer),
        "vae": toy_vae(),
        "text_encoder": toy_clip(49408, 8, 8),
        "text_encoder_2": toy_clip(49408, 16, 12, hidden_act="gelu"),
    }
    return found | ({"text_encoder_3": toy_t5()} if with_t5 else {})


def original(made: dict[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    """Their weights under the original names."""
    tensors = renamed(made["transformer"].state_dict(), dict(sd3_keys.transformer(made["transformer"].config)), UNET)
    tensors |= renamed(made["vae"].state_dict(), dict(keys.vae(made["vae"].config)), VAE)
    for name in [name for name in tensors if "mid.attn_1" in name and name.endswith(".weight") and "norm" not in name]:
        tensors[name] = tensors[name][:, :, None, None]
    for component, prefix in (("text_encoder", CLIP_L), ("text_encoder_2", CLIP_G), ("text_encoder_3", T5)):
        if component in made:
            tensors |= {prefix + name: tensor for name, tensor in made[component].state_dict().items() if "embed_tokens" not in name}
    return {name: tensor.clone().contiguous() for name, tensor in tensors.items()}


def renamed(state: dict[str, torch.Tensor], names: dict[str, str], prefix: str) -> dict[str, torch.Tensor]:
    assert set(names) == set(state)
    found: dict[str, torch.Tensor] = {}
    thirds: dict[str, list[torch.Tensor]] = {}
    for name, old in names.items():
        old, _, form = old.partition(":")
        if form.isdigit():
            thirds.setdefault(old, []).append(state[name])  # in the order query, key, value
        else:
            found[prefix + old] = torch.cat(state[name].chunk(2)[::-1]) if form == "swap" else state[name]
    return found | {prefix + old: torch.cat(parts) for old, parts in thirds.items()}


def save(path: Path, dtype: torch.dtype = torch.float32, without: str = "-", **given: object) -> dict[str, torch.nn.Module]:
    """Writes the file, less the weights whose name contains `without`; gives the modules it was made of."""
    made = modules(**given)  # type: ignore[arg-type]
    save_file({name: tensor.to(dtype) for name, tensor in original(made).items() if without not in name}, path)
    return made
