"""Every number of a training run in one place, for the real model and for a one-minute rehearsal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """Sizes, budgets (minutes of wall clock) and learning rates of all stages."""

    nouns: int | None = None  # None: all of them
    start_from: Path | None = None  # a checkpoint folder whose weights a fresh run begins with
    picture_size: int = 128
    sprite_size: int = 192
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

    vae_channels: tuple[int, ...] = (16, 24, 96, 192)
    vae_groups: int = 8
    vae_minutes: float = 26.0
    vae_batch: int = 4
    vae_rate: float = 5e-4

    scenes: int = 32768
    large_sizes: tuple[int, ...] = (192, 256)  # pictures beyond the native size, a small share of the denoiser's steps
    large_scenes: int = 1024  # per large size
    shard: int = 2048

    denoiser_channels: tuple[int, ...] = (96, 160, 256)
    denoiser_groups: int = 16
    denoiser_heads: int = 4
    denoiser_minutes: float = 38.5
    denoiser_batch: int = 24
    denoiser_rate: float = 6e-4

    polish_minutes: float = 13.0
    polish_batch: int = 4
    polish_rate: float = 5e-4

    tiny_channels: int = 24
    tiny_minutes: float = 2.5
    tiny_batch: int = 12
    tiny_batches: int = 64
    tiny_rate: float = 2e-3

    judge_minutes: float = 2.5
    judge_batch: int = 32
    judge_rate: float = 2e-3

    lora_rank: int = 8
    lora_minutes: float = 3.5
    lora_batch: int = 16
    lora_rate: float = 2e-3
    lora_scenes: int = 1280

    embedding_vectors: int = 4
    embedding_minutes: float = 2.5
    embedding_batch: int = 12
    embedding_rate: float = 2e-2
    embedding_scenes: int = 192

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
    vae_channels=(8, 8, 16, 16),
    vae_minutes=0.06,
    vae_batch=4,
    scenes=64,
    large_sizes=(192,),
    large_scenes=32,
    shard=32,
    denoiser_channels=(16, 32, 32),
    denoiser_minutes=0.08,
    denoiser_batch=4,
    polish_minutes=0.03,
    polish_batch=4,
    tiny_channels=8,
    tiny_minutes=0.03,
    tiny_batch=4,
    tiny_batches=4,
    judge_minutes=0.05,
    judge_batch=8,
    lora_rank=2,
    lora_minutes=0.03,
    lora_batch=4,
    lora_scenes=16,
    embedding_vectors=2,
    embedding_minutes=0.03,
    embedding_batch=4,
    embedding_scenes=16,
    evaluation_prompts=1,
    inference_steps=3,
)

# For one large GPU: the same model from far more pictures, in large batches. Not measured by us.
GPU = replace(
    Config(),
    processes=1,
    text_batch=512,
    vae_batch=128,
    vae_minutes=8.0,
    scenes=262144,
    shard=8192,
    large_scenes=16384,
    denoiser_batch=768,
    denoiser_minutes=20.0,
    polish_batch=128,
    polish_minutes=2.0,
    tiny_batch=64,
    judge_batch=256,
    lora_batch=128,
    lora_scenes=8192,
)

CONFIGS = {"picturebook": Config(), "gpu": GPU, "tiny": REHEARSAL}
