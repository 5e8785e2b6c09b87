"""Stage `denoiser`: the UNet that turns noise into latents, told by captions what to draw."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import nn

from training.config import Config
from training.latents import load_latents
from training.loop import Job, train
from training.paths import Paths
from training.sampling import Parts, default_scheduler
from training.sheets import save_sheet
from training.text import load_text_encoder
from training.tokenizer import load_tokenizer
from training.vae import load_vae
from training.workers import Worker

CAPTION_DROP = 0.1  # captions replaced by the empty one, so that guidance works
PREVIEW_STEPS = 12
PREVIEW_CAPTIONS = (
    "a cat on a blue background",
    "a red apple on a white background",
    "a rocket on a black background",
    "a sunflower on a sky blue background",
    "a penguin on an orange background",
    "a blue car on a white background",
    "a green heart on a purple background",
    "a castle on a pink background",
    "an owl",
    "a snowman on a blue background, flat style",
    "a panda on a green background",
    "a burger on a red background",
    "a yellow balloon on a teal background",
    "a cat and a rocket on a white background",
    "a frog on a yellow background",
    "a purple star on a gray background",
)


def build_unet(config: Config) -> UNet2DConditionModel:
    """A small UNet; only its two lower levels attend to the caption."""
    levels = len(config.denoiser_channels)
    down = ("DownBlock2D", *["CrossAttnDownBlock2D"] * (levels - 1))
    return UNet2DConditionModel(
        sample_size=config.picture_size // 2 ** (len(config.vae_channels) - 1),
        in_channels=4,
        out_channels=4,
        block_out_channels=config.denoiser_channels,
        down_block_types=down,
        up_block_types=tuple(name.replace("Down", "Up") for name in reversed(down)),
        layers_per_block=1,
        cross_attention_dim=config.text_width,
        attention_head_dim=config.denoiser_heads,
        norm_num_groups=config.denoiser_groups,
    )


class Denoising:
    """The velocity loss on random batches of cached latents."""

    def __init__(self, data: dict[str, torch.Tensor], batch: int, device: torch.device) -> None:
        self.data = data
        self.batch = batch
        self.device = device
        self.signal = DDIMScheduler.from_config(default_scheduler().config).alphas_cumprod

    def times(self) -> torch.Tensor:
        """One random time in each of `batch` equal parts of the schedule, shuffled."""
        parts = (torch.arange(self.batch) + torch.rand(self.batch)) / self.batch
        return (parts * len(self.signal)).long()[torch.randperm(self.batch)]

    def __call__(self, unet: nn.Module) -> torch.Tensor:
        """The loss of one batch."""
        chosen = torch.randint(len(self.data["latents"]), (self.batch,))
        clean = self.data["latents"][chosen].float().to(self.device)
        clean = clean.contiguous(memory_format=torch.channels_last)
        states = self.data["text"][chosen].float()
        states[torch.rand(self.batch) < CAPTION_DROP] = self.data["empty"].float()
        times = self.times()
        signal = self.signal[times].view(-1, 1, 1, 1).to(self.device)
        noise = torch.randn_like(clean)
        noisy = signal.sqrt() * clean + (1 - signal).sqrt() * noise
        velocity = signal.sqrt() * noise - (1 - signal).sqrt() * clean
        with torch.autocast(self.device.type, torch.bfloat16):
            made = unet(noisy, times.to(self.device), states.to(self.device)).sample
        return (made.float() - velocity).square().mean()


def train_denoiser(worker: Worker, config: Config, paths: Paths) -> None:
    """Train until the budget is spent; exports to `denoiser/export`."""
    torch.manual_seed(0)
    model = build_unet(config).to(worker.device, memory_format=torch.channels_last)
    torch.manual_seed(1 + worker.rank)
    loss = Denoising(load_latents(paths), config.denoiser_batch, worker.device)
    tokenizer = load_tokenizer(paths.tokenizer)
    text = load_text_encoder(paths.text / "export").to(worker.device)
    vae = load_vae(paths.vae / "final").to(worker.device)

    def export(unet: nn.Module) -> dict[str, float]:
        unet.save_pretrained(paths.denoiser / "partial")
        target = paths.denoiser / "export"
        target.mkdir(exist_ok=True)
        for file in (paths.denoiser / "partial").iterdir():
            file.replace(target / file.name)
        captions = list(PREVIEW_CAPTIONS)
        pictures = Parts(tokenizer, text, unet, vae).draw(captions, PREVIEW_STEPS, config.guidance)
        number = len(list(paths.sheets.glob("denoiser-*.png")))
        save_sheet(pictures, paths.sheets / f"denoiser-{number:03d}.png", 8, captions, scale=2)
        return {}

    job = Job(
        folder=paths.denoiser,
        model=model,
        loss=loss,
        export=export,
        minutes=config.denoiser_minutes,
        rate=config.denoiser_rate,
        batch=config.denoiser_batch,
        cosine_from=0.55,
        sync_every=config.sync_every,
        average_decay=0.998,
        export_seconds=config.export_seconds,
    )
    train(job, worker)
