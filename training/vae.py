"""Stage `vae`: the autoencoder between pictures and the latents the denoiser works on."""

from __future__ import annotations

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import nn

from training.compose import Composer, to_pictures, to_tensor
from training.config import Config
from training.loop import Job, train
from training.paths import Paths
from training.scenes import SceneSampler
from training.sheets import save_sheet
from training.sprites import SpriteBook
from training.workers import Worker

KL_WEIGHT = 1e-4
VALIDATION_PICTURES = 64


def build_vae(config: Config) -> AutoencoderKL:
    """A small fully convolutional autoencoder with four times smaller latents."""
    levels = len(config.vae_channels)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.vae_channels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=config.vae_groups,
        mid_block_add_attention=False,
        sample_size=config.picture_size,
        scaling_factor=1.0,
    )
    with torch.no_grad():
        # A fresh posterior has sigma 1, whose noise swamps the first minutes of training.
        vae.quant_conv.bias[4:] = -4.0
        vae.quant_conv.weight[4:] *= 0.1
    return vae


def picture_loss(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """L1 on pixels, on their 4x4 means, and on both gradients (edges are what flat art is)."""
    error = made - true
    edges = (error[..., 1:] - error[..., :-1]).abs().mean() + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return error.abs().mean() + 0.5 * F.avg_pool2d(error, 4).abs().mean() + 0.5 * edges


def psnr(made: torch.Tensor, true: torch.Tensor) -> float:
    """Mean peak signal-to-noise ratio in dB of pictures in [-1, 1]."""
    squared = ((made.clamp(-1, 1) - true) / 2).pow(2).mean((1, 2, 3))
    return float((-10 * squared.log10()).mean())


class PictureStream:
    """Fresh composed pictures, without end."""

    def __init__(self, config: Config, book: SpriteBook, seed: int, two_objects: float = 0.2) -> None:
        self.rng = random.Random(seed)
        self.sampler = SceneSampler(book.nouns, book.natural_colours, two_objects, repainted=0.4)
        self.composer = Composer(book, config.picture_size)

    def batch(self, size: int) -> torch.Tensor:
        """`size` pictures as a tensor in [-1, 1]."""
        pictures = [self.composer.picture(self.sampler.draw(self.rng), self.rng) for _ in range(size)]
        return to_tensor(pictures).contiguous(memory_format=torch.channels_last)


def load_vae(folder: Path) -> AutoencoderKL:
    """The exported autoencoder, for inference."""
    return AutoencoderKL.from_pretrained(folder).eval().requires_grad_(False).to(memory_format=torch.channels_last)


class Autoencoding:
    """The reconstruction loss, with a faint pull of the latents towards a normal distribution."""

    def __init__(self, stream: PictureStream, batch: int, device: torch.device) -> None:
        self.stream = stream
        self.batch = batch
        self.device = device

    def __call__(self, vae: nn.Module) -> torch.Tensor:
        """The loss of one batch of fresh pictures."""
        true = self.stream.batch(self.batch).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16):
            posterior = vae.encode(true).latent_dist
            made = vae.decode(posterior.sample()).sample
        mean, variance, log_variance = posterior.mean.float(), posterior.var.float(), posterior.logvar.float()
        kl = 0.5 * (mean.square() + variance - 1.0 - log_variance).mean()
        return picture_loss(made.float(), true) + KL_WEIGHT * kl


def train_vae(worker: Worker, config: Config, paths: Paths) -> None:
    """Train until the budget is spent; exports to `vae/export`."""
    book = SpriteBook.load(paths.sprites)
    torch.manual_seed(0)
    model = build_vae(config).to(worker.device, memory_format=torch.channels_last)
    torch.manual_seed(1 + worker.rank)
    held = PictureStream(config, book, seed=9000).batch(VALIDATION_PICTURES).to(worker.device)

    @torch.no_grad()
    def export(vae: nn.Module) -> dict[str, float]:
        latents = vae.encode(held).latent_dist.mean
        made = vae.decode(latents).sample
        pairs = torch.cat([held[:24], made[:24]], 2)  # each above its reconstruction
        save_sheet(to_pictures(pairs), paths.sheets / "vae.png", columns=12, scale=2)
        vae.save_pretrained(paths.vae / "export")
        return {"psnr": psnr(made, held), "latent_std": float(latents.std())}

    job = Job(
        folder=paths.vae,
        model=model,
        loss=Autoencoding(PictureStream(config, book, seed=worker.rank), config.vae_batch, worker.device),
        export=export,
        minutes=config.vae_minutes,
        rate=config.vae_rate,
        batch=config.vae_batch,
        cosine_from=0.3,
        sync_every=config.sync_every,
        average_decay=0.997,
        export_seconds=min(120.0, config.export_seconds),
    )
    train(job, worker)
