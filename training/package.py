"""Stage `package`: one standard Stable Diffusion folder in half precision, and what the studio adds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel

from training.captions import place_phrase, plain_caption
from training.config import Config
from training.palette import BACKGROUNDS, OBJECT_COLOURS, OFFERED_STYLES, SCENERY
from training.paths import Paths
from training.sampling import default_scheduler
from training.scenes import Thing
from training.sprites import SpriteBook
from training.text import load_text_encoder
from training.tokenizer import load_tokenizer
from training.vae import PictureStream, load_vae

TITLE = "Safelight Picture Book"
SUMMARY = "A tiny text-to-image model of our own: {things} everyday things, 3D or flat, {side}x{side} px, seconds on a laptop."
EXAMPLES = (
    "a cat on a sky blue background",
    "a panda at night",
    "a unicorn at sunset, flat style",
    "a purple octopus at the sea",
    "two rabbits on a meadow",
    "a red apple on the left and a blue car on the right on a white background",
    "a robot on a green background, flat style",
    "a blue teapot on an orange background",
)


@torch.no_grad()
def latent_rgb(config: Config, paths: Paths, pictures: int = 128) -> tuple[list[list[float]], list[float]]:
    """The least-squares map from latents (as the UNet sees them) to colours in [-1, 1]."""
    vae = load_vae(paths.vae / "final")
    true = PictureStream(config, SpriteBook.load(paths.sprites), seed=321).batch(pictures)
    latents = vae.encode(true).latent_dist.mean * vae.config.scaling_factor
    colours = torch.nn.functional.interpolate(true, latents.shape[-2:], mode="area")
    rows = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    rows = torch.cat([rows, torch.ones(len(rows), 1)], 1)
    fit = torch.linalg.lstsq(rows, colours.permute(0, 2, 3, 1).reshape(-1, 3)).solution
    rounded = [[round(float(v), 5) for v in row] for row in fit]
    return rounded[:-1], rounded[-1]


def build_pipeline(paths: Paths) -> StableDiffusionPipeline:
    """The trained parts as a stock pipeline, in single precision."""
    return StableDiffusionPipeline(
        vae=load_vae(paths.polish / "export"),
        text_encoder=load_text_encoder(paths.text / "export"),
        tokenizer=load_tokenizer(paths.tokenizer),
        unet=UNet2DConditionModel.from_pretrained(paths.denoiser / "export"),
        scheduler=default_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def describe(config: Config, paths: Paths) -> dict[str, object]:
    """The content of safelight.json."""
    book = SpriteBook.load(paths.sprites)
    factors, bias = latent_rgb(config, paths)
    side = config.picture_size
    examples = EXAMPLES if config.nouns is None else tuple(plain_caption(Thing(n), "white") for n in book.nouns)
    return {
        "title": TITLE,
        "summary": SUMMARY.format(things=len(book.nouns), side=side),
        "native_size": [side, side],
        "recommended": {
            "scheduler": "ddim",
            "schedule": "automatic",
            "num_inference_steps": config.inference_steps,
            "guidance_scale": config.guidance,
            "width": side,
            "height": side,
        },
        "latent_rgb_factors": factors,
        "latent_rgb_bias": bias,
        "example_prompts": list(examples),
        "nouns": book.nouns,
        "colours": list(OBJECT_COLOURS),
        "background_colours": list(BACKGROUNDS),
        "places": [place_phrase(name) for name in SCENERY],
        "styles": list(OFFERED_STYLES),
    }


def forget_origin(file: Path) -> None:
    """Take out of a configuration the folder that its weights were trained in."""
    kept = {name: value for name, value in json.loads(file.read_text()).items() if name != "_name_or_path"}
    file.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")


def package(config: Config, paths: Paths, checkpoint: Path) -> None:
    """Write the checkpoint folder beside its final place, then move it there."""
    partial = checkpoint.with_name(checkpoint.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    build_pipeline(paths).to(dtype=torch.float16).save_pretrained(partial, safe_serialization=True)
    # The pipeline saves a newer single-file tokenizer; every reader of this layout knows vocab.json and merges.txt.
    shutil.rmtree(partial / "tokenizer")
    shutil.copytree(paths.tokenizer, partial / "tokenizer")
    tiny = AutoencoderTiny.from_pretrained(paths.tiny / "export")
    tiny.to(torch.float16).save_pretrained(partial / "vae_tiny")
    for file in partial.glob("*/config.json"):
        forget_origin(file)
    (partial / "safelight.json").write_text(json.dumps(describe(config, paths), indent=2) + "\n")
    for name in ("README.md", "samples.png", "preview.png", "evaluation.json"):
        if (checkpoint / name).exists():
            shutil.copy2(checkpoint / name, partial / name)
    shutil.rmtree(checkpoint, ignore_errors=True)
    partial.replace(checkpoint)
    size = sum(file.stat().st_size for file in checkpoint.rglob("*") if file.is_file())
    print(f"[package] {checkpoint}: {size / 1e6:.1f} MB", flush=True)
