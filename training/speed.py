"""How long one picture and one preview take, as a user would wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline

from training.config import Config


def _fastest(work: Callable[[], object], repeats: int) -> float:
    """The least time of several calls: other programs only ever add to it."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


@torch.inference_mode()
def measure_speed(config: Config, checkpoint: Path, pipeline: StableDiffusionPipeline) -> dict[str, float]:
    """Seconds per picture at the recommended settings, milliseconds per preview, on this machine."""
    tiny = AutoencoderTiny.from_pretrained(checkpoint / "vae_tiny", dtype=torch.float32).eval()
    side = pipeline.unet.config.sample_size
    latents = torch.randn(1, 4, side, side)

    def picture() -> None:
        pipeline(
            "a red apple on a white background",
            width=config.picture_size,
            height=config.picture_size,
            num_inference_steps=config.inference_steps,
            guidance_scale=config.guidance,
            output_type="pt",
        )

    return {
        "threads": torch.get_num_threads(),
        "picture_seconds": round(_fastest(picture, 4), 3),
        "preview_milliseconds": round(1000 * _fastest(lambda: tiny.decode(latents), 30), 2),
    }
