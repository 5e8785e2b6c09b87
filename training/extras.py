"""What a LoRA and an embedding share: the packaged checkpoint as their base, and the files beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from training.compose import to_tensor
from training.denoiser import velocity_target
from training.sampling import default_scheduler
from training.sheets import save_sheet

CHUNK = 32  # pictures encoded at once


@dataclass(frozen=True)
class Base:
    """The frozen checkpoint that something small is trained on."""

    tokenizer: CLIPTokenizer
    text: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderKL

    @staticmethod
    def load(checkpoint: Path, device: torch.device) -> Base:
        """Read the packaged checkpoint, in single precision."""
        models = (
            CLIPTextModel.from_pretrained(checkpoint / "text_encoder", dtype=torch.float32),
            UNet2DConditionModel.from_pretrained(checkpoint / "unet", torch_dtype=torch.float32),
            AutoencoderKL.from_pretrained(checkpoint / "vae", torch_dtype=torch.float32),
        )
        text, unet, vae = (model.to(device).eval().requires_grad_(False) for model in models)
        return Base(CLIPTokenizer.from_pretrained(checkpoint / "tokenizer"), text, unet, vae)

    @torch.no_grad()
    def encode(self, pictures: list[Image.Image]) -> torch.Tensor:
        """Pictures as latents."""
        parts = to_tensor(pictures).to(self.vae.device).split(CHUNK)
        return torch.cat([self.vae.encode(part).latent_dist.mean for part in parts]) * self.vae.config.scaling_factor


def denoising_loss(unet: torch.nn.Module, clean: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """The velocity loss of one batch at random times."""
    scheduler = default_scheduler()
    times = torch.randint(scheduler.config.num_train_timesteps, (len(clean),))
    noisy, velocity = velocity_target(clean, scheduler.alphas_cumprod[times])
    with torch.autocast(clean.device.type, torch.bfloat16):
        made = unet(noisy, times.to(clean.device), states).sample
    return F.mse_loss(made.float(), velocity)


def write_sidecar(file: Path, description: str, activation: str, notes: str) -> None:
    """The description that AUTOMATIC1111 and its relatives read beside a LoRA or an embedding."""
    about = {
        "description": description,
        "sd version": "SD1",
        "activation text": activation,
        "preferred weight": 1.0,
        "notes": notes,
    }
    file.with_suffix(".json").write_text(json.dumps(about, indent=2) + "\n")


def write_preview(file: Path, pictures: list[Image.Image]) -> None:
    """A square of four pictures beside the file."""
    save_sheet(pictures[:4], file.with_suffix(".preview.png"), 2)
