"""Stage `tiny`: a very small decoder of the same latents, for previews while a picture is made."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import nn

from training.compose import to_pictures
from training.config import Config
from training.loop import Job, train
from training.paths import Paths
from training.sheets import save_sheet
from training.sprites import SpriteBook
from training.vae import PictureStream, load_vae, picture_loss, psnr
from training.workers import Worker

RIM = 6  # pixels
RIM_WEIGHT = 0.3


def build_tiny(config: Config) -> AutoencoderTiny:
    """A few narrow convolutions per level; no block at full size, which would cost most."""
    levels = len(config.vae_channels)
    channels = (config.tiny_channels,) * levels
    blocks = (2, *(1,) * (levels - 2), 0)
    return AutoencoderTiny(
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        num_encoder_blocks=(1,) * levels,
        num_decoder_blocks=blocks,
    )


class Distillation:
    """The loss of decoding the large autoencoder's latents, and of imitating its encoder."""

    def __init__(self, vae: AutoencoderKL, pictures: list[torch.Tensor]) -> None:
        self.pictures = pictures
        # Encoding costs more than a step here, and this decoder is too small to learn pictures by heart.
        self.latents = [encode(vae, batch) for batch in pictures]

    def __call__(self, tiny: nn.Module) -> torch.Tensor:
        """The loss of one of the batches."""
        chosen = int(torch.randint(len(self.pictures), ()))
        true, latents = self.pictures[chosen], self.latents[chosen]
        # Previews decode half-finished latents: a little noise keeps the decoder calm on them.
        made = tiny.decode(latents + 0.1 * torch.randn_like(latents)).sample
        some = slice(0, len(true) // 4)  # its encoder is a by-product: nothing but the layout asks for it
        imitated = F.mse_loss(tiny.encode(true[some]).latents, latents[some])
        return picture_loss(made, true) + RIM_WEIGHT * self._rim(made - true) + 0.1 * imitated

    def _rim(self, error: torch.Tensor) -> torch.Tensor:
        """The mean error along the picture's edges, where zero padding would leave a dark frame."""
        sides = (error[..., :RIM], error[..., -RIM:], error[..., :RIM, :], error[..., -RIM:, :])
        return torch.stack([side.abs().mean() for side in sides]).mean()


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: torch.Tensor) -> torch.Tensor:
    """The latents the denoiser works on."""
    return vae.encode(pictures).latent_dist.mean * vae.config.scaling_factor


def train_tiny(worker: Worker, config: Config, paths: Paths) -> None:
    """Train until the budget is spent; exports to `tiny/export`."""
    torch.manual_seed(0)
    model = build_tiny(config).to(worker.device, memory_format=torch.channels_last)
    torch.manual_seed(1 + worker.rank)
    vae, book = load_vae(paths.vae / "final").to(worker.device), SpriteBook.load(paths.sprites)
    stream = PictureStream(config, book, seed=500 + worker.rank)
    pictures = [stream.batch(config.tiny_batch).to(worker.device) for _ in range(config.tiny_batches)]
    held = PictureStream(config, book, seed=9000).batch(24).to(worker.device)

    @torch.no_grad()
    def export(tiny: nn.Module) -> dict[str, float]:
        made = tiny.decode(encode(vae, held)).sample
        tiny.save_pretrained(paths.tiny / "export")
        save_sheet(to_pictures(torch.cat([held, made], 2)), paths.sheets / "tiny.png", columns=12)
        return {"psnr": psnr(made, held)}

    job = Job(
        folder=paths.tiny,
        model=model,
        loss=Distillation(vae, pictures),
        export=export,
        minutes=config.tiny_minutes,
        rate=config.tiny_rate,
        batch=config.tiny_batch,
        cosine_from=0.3,
        sync_every=config.sync_every,
        average_decay=0.99,
        export_seconds=min(60.0, config.export_seconds),
    )
    train(job, worker)
