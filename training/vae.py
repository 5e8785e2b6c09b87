"""Stage `vae`: the autoencoder between pictures and the latents the denoiser works on."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from training.compose import Composer, to_pictures, to_tensor
from training.config import Config
from training.loop import Job, train
from training.paths import Paths
from training.scenes import SceneSampler
from training.sheets import save_sheet
from training.sprites import SpriteBook
from training.start import inherit_autoencoder
from training.workers import Worker

KL_WEIGHT = 1e-4
ANCHOR_WEIGHT = 0.1
LATENT_NOISE = 0.08  # the denoiser's latents are never exact; the decoder shall not mind
VALIDATION_PICTURES = 64


def build_vae(config: Config) -> AutoencoderKL:
    """A small fully convolutional autoencoder; every level but the first halves the picture."""
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


class PictureStream(IterableDataset):
    """Fresh composed pictures, without end; iterating gives batches of `size`."""

    def __init__(self, config: Config, book: SpriteBook, seed: int, two_objects: float = 0.2, size: int = 1) -> None:
        self.seed, self.size = seed, size
        self.rng = random.Random(seed)
        self.sampler = SceneSampler(book.nouns, book.natural_colours, two_objects, repainted=0.4)
        self.composer = Composer(book, config.picture_size)

    def batch(self, size: int) -> torch.Tensor:
        """`size` pictures as a tensor in [-1, 1]."""
        pictures = [self.composer.picture(self.sampler.draw(self.rng), self.rng) for _ in range(size)]
        return to_tensor(pictures).contiguous(memory_format=torch.channels_last)

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Batches; every loading process has its own randomness."""
        loading = get_worker_info()
        if loading is not None:
            self.rng = random.Random(f"{self.seed}/{loading.id}")
        while True:
            yield self.batch(self.size)


def batches(stream: PictureStream, device: torch.device) -> Iterator[torch.Tensor]:
    """The stream's batches on the device; beside a GPU, all cores compose ahead of it.

    One core composes about 1200 pictures a second, far more than a CPU trains on, and a GPU has many cores beside it.
    """
    ahead = (os.cpu_count() or 1) if device.type == "cuda" else 0
    for pictures in DataLoader(stream, batch_size=None, num_workers=ahead, pin_memory=ahead > 0):
        yield pictures.to(device, non_blocking=True, memory_format=torch.channels_last)


def load_vae(folder: Path) -> AutoencoderKL:
    """The exported autoencoder, for inference."""
    return AutoencoderKL.from_pretrained(folder).eval().requires_grad_(False).to(memory_format=torch.channels_last)


class Autoencoding:
    """The reconstruction loss, with a faint pull of the latents towards a normal distribution.

    With an older autoencoder, its latents pull too, so that a denoiser trained on those stays of use.
    """

    def __init__(self, stream: PictureStream, device: torch.device, older: AutoencoderKL | None = None) -> None:
        self.pictures = batches(stream, device)
        self.device = device
        self.older = older

    def _anchor(self, true: torch.Tensor, mean: torch.Tensor) -> torch.Tensor | float:
        if self.older is None:
            return 0.0
        side = mean.shape[-1] * 2 ** (len(self.older.config.block_out_channels) - 1)
        with torch.no_grad():
            goal = self.older.encode(F.interpolate(true, (side, side), mode="area")).latent_dist.mean
        return ANCHOR_WEIGHT * F.mse_loss(mean, goal)

    def __call__(self, vae: nn.Module) -> torch.Tensor:
        """The loss of one batch of fresh pictures."""
        true = next(self.pictures)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type != "cpu"):
            posterior = vae.encode(true).latent_dist
            latents = posterior.sample()
            made = vae.decode(latents + LATENT_NOISE * torch.randn_like(latents)).sample
        mean, variance, log_variance = posterior.mean.float(), posterior.var.float(), posterior.logvar.float()
        kl = 0.5 * (mean.square() + variance - 1.0 - log_variance).mean()
        return picture_loss(made.float(), true) + KL_WEIGHT * kl + self._anchor(true, mean)


def older_autoencoder(config: Config) -> AutoencoderKL | None:
    """The starting checkpoint's autoencoder, if there is one."""
    return load_vae(config.start_from / "vae").float() if config.start_from else None


def train_vae(worker: Worker, config: Config, paths: Paths) -> None:
    """Train until the budget is spent; exports to `vae/export`."""
    book = SpriteBook.load(paths.sprites)
    torch.manual_seed(0)
    model, older = build_vae(config), older_autoencoder(config)
    if older is not None:
        inherit_autoencoder(model, older.to(worker.device))
    model.to(worker.device, memory_format=torch.channels_last)
    torch.manual_seed(1 + worker.rank)
    stream = PictureStream(config, book, seed=worker.rank, size=config.vae_batch)
    held = PictureStream(config, book, seed=9000).batch(VALIDATION_PICTURES).to(worker.device)

    @torch.no_grad()
    def export(vae: nn.Module) -> dict[str, float]:
        latents = vae.encode(held).latent_dist.mean
        made = vae.decode(latents).sample
        pairs = torch.cat([held[:24], made[:24]], 2)  # each above its reconstruction
        save_sheet(to_pictures(pairs), paths.sheets / "vae.png", columns=12)
        vae.save_pretrained(paths.vae / "export")
        return {"psnr": psnr(made, held), "latent_std": float(latents.std())}

    job = Job(
        folder=paths.vae,
        model=model,
        loss=Autoencoding(stream, worker.device, older),
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
