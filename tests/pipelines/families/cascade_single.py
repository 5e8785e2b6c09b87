"""A toy Stable Cascade in single files: the stages as they were published, and ComfyUI's checkpoints of two."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.pipelines.families.cascade_toys import toy_decoder, toy_prior, toy_text_encoder, toy_vqgan

UNET = "model.diffusion_model."
VOCABULARY = 49408


def modules() -> dict[str, torch.nn.Module]:
    torch.manual_seed(2)
    return {"prior": toy_prior(), "decoder": toy_decoder(), "vqgan": toy_vqgan(), "text_encoder": toy_text_encoder(VOCABULARY)}


def original(state: dict[str, torch.Tensor], prefix: str = "") -> dict[str, torch.Tensor]:
    """A denoiser under the names that it was published with."""
    found = {}
    for name, tensor in state.items():
        stem, _, end = name.partition("to_q.")
        if end:
            found[f"{stem}attn.in_proj_{end}"] = torch.cat([state[f"{stem}to_{letter}.{end}"] for letter in "qkv"])
        elif "to_k." not in name and "to_v." not in name:
            plain = name.replace("to_out.0.", "attn.out_proj.")
            found[plain if "clip_txt_mapper.weight" in state else plain.replace("clip_txt_pooled_mapper", "clip_mapper")] = tensor
    return {prefix + name: tensor.contiguous() for name, tensor in found.items()}


def stage_a(made: torch.nn.Module, prefix: str = "") -> dict[str, torch.Tensor]:
    return {prefix + name.replace("embedding.weight", "codebook.weight"): tensor for name, tensor in made.state_dict().items()}


def save_stages(folder: Path) -> dict[str, torch.nn.Module]:
    """Stages a, b and c in a folder, and the text encoder in the one for text encoders."""
    made = modules()
    stages, texts = folder / "checkpoints" / "cascade", folder / "text_encoders"
    for each in (stages, texts):
        each.mkdir(parents=True)
    save_file(stage_a(made["vqgan"]), stages / "stage_a.safetensors")
    save_file(original(made["decoder"].state_dict()), stages / "stage_b.safetensors")
    save_file(original(made["prior"].state_dict()), stages / "stage_c.safetensors")
    save_file(made["text_encoder"].state_dict(), texts / "clip_g.safetensors")
    return made


def save_comfy(folder: Path) -> dict[str, torch.nn.Module]:
    """stage_c with the text encoder (and a vision model and an encoder of pictures, unused), stage_b with stage a."""
    made = modules()
    folder.mkdir(parents=True)
    text = {f"text_encoder.clip_g.transformer.{name}": tensor for name, tensor in made["text_encoder"].state_dict().items()}
    text["text_encoder.clip_g.text_projection"] = text.pop("text_encoder.clip_g.transformer.text_projection.weight").T.contiguous()
    unused = ("clip_l_vision.vision_model.encoder.layers.0.layer_norm1.weight", "vae.encoder.backbone.0.0.weight")
    text |= {name: torch.zeros(4) for name in unused}
    save_file(original(made["prior"].state_dict(), UNET) | text, folder / "stable_cascade_stage_c.safetensors")
    stage_b = original(made["decoder"].state_dict(), UNET) | stage_a(made["vqgan"], "vae.")
    save_file(stage_b, folder / "stable_cascade_stage_b.safetensors")
    return made
