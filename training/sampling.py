"""Draws pictures with the trained parts: classifier-free guidance over any diffusers scheduler."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

from training.compose import to_pictures
from training.text import tokenize

# Plain backgrounds need a nearly zero terminal signal; Stable Diffusion's own betas leave too much.
NOISE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "linear",
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "prediction_type": "v_prediction",
}


def default_scheduler() -> DDIMScheduler:
    """The scheduler the checkpoint ships with."""
    return DDIMScheduler(**NOISE, timestep_spacing="trailing", clip_sample=False, steps_offset=1)


@dataclass(frozen=True)
class Parts:
    """Everything needed to turn captions into pictures."""

    tokenizer: CLIPTokenizer
    text: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderKL

    @torch.no_grad()
    def latents(self, captions: list[str], steps: int, guidance: float, seed: int, scheduler: object | None = None) -> torch.Tensor:
        """Latents for the captions; picture k's noise depends on `seed` and k only."""
        scheduler = scheduler or default_scheduler()
        device, side = self.unet.device, self.unet.config.sample_size
        noise = [torch.randn(4, side, side, generator=torch.Generator().manual_seed(seed + k)) for k in range(len(captions))]
        scheduler.set_timesteps(steps)
        sample = torch.stack(noise).to(device) * scheduler.init_noise_sigma
        ids = tokenize(self.tokenizer, [""] * len(captions) + captions).to(device)
        states = self.text(input_ids=ids).last_hidden_state
        for t in scheduler.timesteps:
            scaled = scheduler.scale_model_input(torch.cat([sample, sample]), t)
            with torch.autocast(device.type, torch.bfloat16):
                free, told = self.unet(scaled, t, states).sample.float().chunk(2)
            sample = scheduler.step(free + guidance * (told - free), t, sample).prev_sample
        return sample

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> list[Image.Image]:
        """Latents as pictures."""
        made = [self.vae.decode(part / self.vae.config.scaling_factor).sample for part in latents.split(16)]
        return to_pictures(torch.cat(made))

    def draw(self, captions: list[str], steps: int = 20, guidance: float = 3.0, seed: int = 0) -> list[Image.Image]:
        """Pictures for the captions, in batches of 16."""
        batches = [captions[start : start + 16] for start in range(0, len(captions), 16)]
        made = [self.latents(batch, steps, guidance, seed + 16 * k) for k, batch in enumerate(batches)]
        return self.decode(torch.cat(made))
