"""Every number of a training run in one place, for the real model and for a one-minute rehearsal."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Config:
    """Sizes, budgets (minutes of wall clock) and learning rates of all stages."""

    nouns: int | None = None  # None: all of them
    picture_size: int = 64
    sprite_size: int = 128
    processes: int = 2  # single-threaded workers on a CPU; one process on a GPU
    sync_every: int = 8  # steps between two averagings of the workers' weights
    export_seconds: float = 300.0

    merges: int = 1500
    text_width: int = 192
    text_layers: int = 3
    text_heads: int = 4
    text_minutes: float = 3.0
    text_batch: int = 64
    text_rate: float = 6e-4

    vae_channels: tuple[int, ...] = (24, 48, 96)
    vae_groups: int = 8
    vae_minutes: float = 25.0
    vae_batch: int = 8
    vae_rate: float = 5e-4

    scenes: int = 16384
    shard: int = 2048

    denoiser_channels: tuple[int, ...] = (96, 160, 256)
    denoiser_groups: int = 16
    denoiser_heads: int = 4
    denoiser_minutes: float = 82.0
    denoiser_batch: int = 24
    denoiser_rate: float = 6e-4

    tiny_channels: int = 16
    tiny_minutes: float = 3.0
    tiny_batch: int = 16
    tiny_batches: int = 96
    tiny_rate: float = 2e-3

    judge_minutes: float = 3.5
    judge_batch: int = 32
    judge_rate: float = 2e-3

    evaluation_prompts: int = 2  # per noun
    inference_steps: int = 20
    guidance: float = 3.0


REHEARSAL = replace(
    Config(),
    nouns=4,
    processes=1,
    export_seconds=2.0,
    merges=60,
    text_width=32,
    text_layers=1,
    text_minutes=0.04,
    text_batch=8,
    vae_channels=(8, 16, 16),
    vae_minutes=0.06,
    vae_batch=4,
    scenes=64,
    shard=32,
    denoiser_channels=(16, 32, 32),
    denoiser_minutes=0.08,
    denoiser_batch=4,
    tiny_channels=8,
    tiny_minutes=0.03,
    tiny_batch=4,
    tiny_batches=4,
    judge_minutes=0.05,
    judge_batch=8,
    evaluation_prompts=1,
    inference_steps=3,
)

CONFIGS = {"picturebook": Config(), "tiny": REHEARSAL}
