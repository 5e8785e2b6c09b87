"""Stage `denoiser`: the UNet that turns noise into latents, told by captions what to draw."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import nn

from training.config import Config
from training.latents import load_empty, load_latents
from training.loop import Job, train
from training.paths import Paths
from training.sampling import Parts, Wish, default_scheduler
from training.sheets import save_sheet
from training.start import start_part
from training.text import load_text_encoder
from training.tokenizer import load_tokenizer
from training.vae import load_vae
from training.workers import Worker

LARGE_SHARE = 0.08  # of the steps
CAPTION_DROP = 0.1  # captions replaced by the empty one, so that guidance works
PREVIEW_STEPS = 12
PREVIEW_CAPTIONS = (
    "a cat on a blue background",
    "a red apple on a white background",
    "a rocket at night",
    "a sunflower on a sky blue background, flat style",
    "a penguin on an orange background",
    "a blue car on a white background",
    "a green heart on a purple background",
    "a castle on a pink background, pixel style",
    "an owl",
    "a snowman on a blue background, flat style",
    "a panda on a meadow",
    "a burger on a red background",
    "two cats on a teal background",
    "a red apple on the left and a blue car on the right on a white background",
    "pixel art of a frog on a yellow background",
    "a unicorn at sunset",
    "a small butterfly on a gray background",
    "a teapot on a green background",
    "a bear on a yellow background, flat style",
    "a purple octopus at the sea",
    "a pineapple on a pink background",
    "a bee and a rose on a sky blue background",
    "a dog on a black background",
    "a cupcake on a purple background",
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


def velocity_target(clean: torch.Tensor, signal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The latents with noise at the given signal powers (n), and the velocity the UNet should tell."""
    signal = signal.view(-1, 1, 1, 1).to(clean.device)
    noise = torch.randn_like(clean)
    return signal.sqrt() * clean + (1 - signal).sqrt() * noise, signal.sqrt() * noise - (1 - signal).sqrt() * clean


class Denoising:
    """The velocity loss on random batches of cached latents, now and then of larger pictures."""

    def __init__(self, config: Config, paths: Paths, device: torch.device) -> None:
        self.native = load_latents(paths, config.picture_size)
        self.large = [load_latents(paths, size) for size in config.large_sizes]
        self.empty = load_empty(paths).float()
        self.batch = config.denoiser_batch
        self.device = device
        self.signal = DDIMScheduler.from_config(default_scheduler().config).alphas_cumprod

    def times(self, count: int) -> torch.Tensor:
        """One random time in each of `count` equal parts of the schedule, shuffled."""
        parts = (torch.arange(count) + torch.rand(count)) / count
        return (parts * len(self.signal)).long()[torch.randperm(count)]

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch of clean latents and caption states; larger pictures come in smaller batches."""
        scenes, count = self.native, self.batch
        if self.large and torch.rand(()) < LARGE_SHARE:
            scenes = self.large[int(torch.randint(len(self.large), ()))]
            count = max(1, round(count * self.native.latents[0].numel() / scenes.latents[0].numel()))
        chosen = torch.randint(len(scenes.latents), (count,))
        states = scenes.text[chosen].float()
        states[torch.rand(count) < CAPTION_DROP] = self.empty
        return scenes.latents[chosen].float(), states

    def __call__(self, unet: nn.Module) -> torch.Tensor:
        """The loss of one batch."""
        clean, states = self.draw()
        clean = clean.to(self.device).contiguous(memory_format=torch.channels_last)
        times = self.times(len(clean))
        noisy, velocity = velocity_target(clean, self.signal[times])
        with torch.autocast(self.device.type, torch.bfloat16):
            made = unet(noisy, times.to(self.device), states.to(self.device)).sample
        return (made.float() - velocity).square().mean()


def train_denoiser(worker: Worker, config: Config, paths: Paths) -> None:
    """Train until the budget is spent; exports to `denoiser/export`."""
    torch.manual_seed(0)
    model = build_unet(config)
    start_part(model, config.start_from, "unet")
    model.to(worker.device, memory_format=torch.channels_last)
    torch.manual_seed(1 + worker.rank)
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
        pictures = Parts(tokenizer, text, unet, vae).draw(captions, Wish(PREVIEW_STEPS, config.guidance))
        number = len(list(paths.sheets.glob("denoiser-*.png")))
        save_sheet(pictures, paths.sheets / f"denoiser-{number:03d}.png", 8, captions)
        return {}

    job = Job(
        folder=paths.denoiser,
        model=model,
        loss=Denoising(config, paths, worker.device),
        export=export,
        minutes=config.denoiser_minutes,
        rate=config.denoiser_rate,
        batch=config.denoiser_batch,
        cosine_from=0.3,
        sync_every=config.sync_every,
        average_decay=0.998,
        export_seconds=config.export_seconds,
    )
    train(job, worker)
