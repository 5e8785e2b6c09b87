"""Draws pictures with the trained parts: classifier-free guidance, negative prompts, holes to fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

from training.compose import to_pictures, to_tensor
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
class Hole:
    """A picture to keep around a hole: its latents, and a mask (n, 1, h, w) that is 1 in the hole."""

    known: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True)
class Wish:
    """How to draw: steps, guidance, seed, what to keep away from, latent side, and what to keep around a hole."""

    steps: int = 20
    guidance: float = 3.0
    seed: int = 0
    negative: str = ""
    side: int | None = None  # None: the size the UNet was made for
    hole: Hole | None = None


@dataclass(frozen=True)
class Parts:
    """Everything needed to turn captions into pictures."""

    tokenizer: CLIPTokenizer
    text: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    read: Callable[[list[str]], torch.Tensor] | None = None  # reads captions instead of the text encoder

    @torch.no_grad()
    def states(self, captions: list[str]) -> torch.Tensor:
        """The captions' hidden states."""
        if self.read is not None:
            return self.read(captions)
        return self.text(input_ids=tokenize(self.tokenizer, captions).to(self.unet.device)).last_hidden_state

    @torch.no_grad()
    def latents(self, captions: list[str], wish: Wish, first: int = 0) -> torch.Tensor:
        """Latents for the captions; picture k's noise depends on the seed and `first` + k only."""
        scheduler = default_scheduler()
        device, side = self.unet.device, wish.side or self.unet.config.sample_size
        seeds = range(wish.seed + first, wish.seed + first + len(captions))
        noise = torch.stack([torch.randn(4, side, side, generator=torch.Generator().manual_seed(seed)) for seed in seeds]).to(device)
        scheduler.set_timesteps(wish.steps)
        sample, later = noise, [*scheduler.timesteps[1:], None]
        states = torch.cat([self.states([wish.negative] * len(captions)), self.states(captions)])
        for t, after in zip(scheduler.timesteps, later, strict=True):
            with torch.autocast(device.type, torch.bfloat16):
                away, told = self.unet(torch.cat([sample, sample]), t, states).sample.float().chunk(2)
            sample = scheduler.step(away + wish.guidance * (told - away), t, sample).prev_sample
            if wish.hole is not None:
                # What lies around the hole is put back at every step, as noisy as the rest.
                part = slice(first, first + len(captions))
                known = wish.hole.known[part]
                known = known if after is None else scheduler.add_noise(known, noise, after[None])
                sample = torch.lerp(known, sample, wish.hole.mask[part])
        return sample

    @torch.no_grad()
    def encode(self, pictures: list[Image.Image]) -> torch.Tensor:
        """Pictures as latents."""
        parts = to_tensor(pictures).split(16)
        return torch.cat([self.vae.encode(part).latent_dist.mean for part in parts]) * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> list[Image.Image]:
        """Latents as pictures."""
        made = [self.vae.decode(part / self.vae.config.scaling_factor).sample for part in latents.split(16)]
        return to_pictures(torch.cat(made))

    def draw(self, captions: list[str], wish: Wish) -> list[Image.Image]:
        """Pictures for the captions, in batches of 16."""
        starts = range(0, len(captions), 16)
        return self.decode(torch.cat([self.latents(captions[start : start + 16], wish, start) for start in starts]))
