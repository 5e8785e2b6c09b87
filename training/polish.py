"""Stage `polish`: teaches the decoder to draw from latents as the denoiser makes them.

The encoder's latents are exact, the denoiser's are a little soft. Here pictures are encoded, partly
noised, cleaned by the denoiser in one step, and the decoder must draw the true picture from that.
Encoder and latents stay as they are, so the denoiser stays valid.
"""

from __future__ import annotations

import random

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn

from training.compose import Composer, to_pictures, to_tensor
from training.config import Config
from training.latents import SceneEncoder
from training.loop import Job, train
from training.paths import Paths
from training.sampling import default_scheduler
from training.sheets import save_sheet
from training.start import widen
from training.vae import build_vae, load_vae, picture_loss, psnr
from training.workers import Worker

LAST_TIME = 250  # a quarter of the way to pure noise: the guess still shows the same picture
HELD_PICTURES = 24


class CleanedScenes:
    """Endless pairs of true pictures and latents that the denoiser cleaned."""

    def __init__(self, config: Config, paths: Paths, device: torch.device, seed: int) -> None:
        self.encoder = SceneEncoder(config, paths, device)
        self.composer = Composer(self.encoder.book, config.picture_size)
        unet = UNet2DConditionModel.from_pretrained(paths.denoiser / "export")
        self.unet = unet.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
        self.signal = DDIMScheduler.from_config(default_scheduler().config).alphas_cumprod
        self.rng = random.Random(seed)
        self.device = device

    @torch.no_grad()
    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`size` true pictures and their cleaned latents."""
        encoder = self.encoder
        scenes = [encoder.sampler.draw(self.rng) for _ in range(size)]
        pictures = to_tensor([self.composer.picture(scene, self.rng) for scene in scenes]).to(self.device)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        states = encoder.text_states([encoder.writer.write(scene, self.rng) for scene in scenes]).float().to(self.device)
        clean = encoder.vae.encode(pictures).latent_dist.mean
        times = torch.randint(LAST_TIME, (size,))
        signal = self.signal[times].view(-1, 1, 1, 1).to(self.device)
        noisy = signal.sqrt() * clean + (1 - signal).sqrt() * torch.randn_like(clean)
        with torch.autocast(self.device.type, torch.bfloat16):
            velocity = self.unet(noisy, times.to(self.device), states).sample.float()
        return pictures, signal.sqrt() * noisy - (1 - signal).sqrt() * velocity


def train_polish(worker: Worker, config: Config, paths: Paths) -> None:
    """Train until the budget is spent; exports the whole autoencoder to `polish/export`."""
    torch.manual_seed(0)
    final = load_vae(paths.vae / "final")
    vae = build_vae(config).requires_grad_(False)
    widen(vae, final)  # the same, unless the encoder was trained narrower: then the decoder grows here
    for part in (vae.decoder, vae.post_quant_conv):
        part.requires_grad_(True)
    vae.to(worker.device, memory_format=torch.channels_last)
    torch.manual_seed(1 + worker.rank)
    scenes = CleanedScenes(config, paths, worker.device, seed=700 + worker.rank)
    held, cleaned = CleanedScenes(config, paths, worker.device, seed=9700).batch(HELD_PICTURES)
    latents_held = final.encode(held).latent_dist.mean

    def loss(model: nn.Module) -> torch.Tensor:
        true, latents = scenes.batch(config.polish_batch)
        return picture_loss(model.decode(latents).sample, true)

    @torch.no_grad()
    def export(model: AutoencoderKL) -> dict[str, float]:
        exact = model.decode(latents_held).sample
        made = model.decode(cleaned).sample
        model.save_pretrained(paths.polish / "export")
        save_sheet(to_pictures(torch.cat([held, exact, made], 2)), paths.sheets / "polish.png", columns=12)
        return {"psnr": psnr(exact, held), "psnr_cleaned": psnr(made, held)}

    job = Job(
        folder=paths.polish,
        model=vae,
        loss=loss,
        export=export,
        minutes=config.polish_minutes,
        rate=config.polish_rate,
        batch=config.polish_batch,
        cosine_from=0.2,
        sync_every=config.sync_every,
        average_decay=0.99,
        export_seconds=min(120.0, config.export_seconds),
    )
    train(job, worker)
