"""Stage `latents`: captioned scenes, encoded once, so that the denoiser's stage need not wait."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from training.captions import CaptionWriter
from training.compose import Composer, to_tensor
from training.config import Config
from training.nouns import all_nouns
from training.paths import Paths
from training.scenes import Scene, SceneSampler
from training.sprites import SpriteBook
from training.start import known_nouns
from training.text import load_text_encoder, tokenize
from training.tokenizer import load_tokenizer
from training.vae import PictureStream, load_vae
from training.workers import Worker

CHUNK = 32  # pictures encoded at once
FRESH_WEIGHT = 1.7  # how much more often nouns are drawn that the starting checkpoint does not know
BRIEF_SHARE = 0.04  # captions of one word


@torch.no_grad()
def normalize_latents(vae: AutoencoderKL, pictures: torch.Tensor) -> None:
    """Give every latent channel mean 0 and deviation 1, exactly, by folding both into 1x1 convolutions.

    Stable Diffusion's layout knows one scaling factor only, and the channels come out unequal.
    """
    latents = torch.cat([vae.encode(part).latent_dist.mean for part in pictures.split(CHUNK)])
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    into, out = vae.quant_conv, vae.post_quant_conv
    into.weight[:4] /= deviation[:, None, None, None]
    into.bias[:4] = (into.bias[:4] - mean) / deviation
    into.bias[4:] -= 2.0 * deviation.log()
    out.bias += out.weight[:, :, 0, 0] @ mean
    out.weight *= deviation[None, :, None, None]


def freeze_vae(config: Config, paths: Paths) -> Path:
    """The autoencoder with normalized latents, written once to `vae/final`."""
    folder = paths.vae / "final"
    if not folder.exists():
        vae = load_vae(paths.vae / "export")
        stream = PictureStream(config, SpriteBook.load(paths.sprites), seed=77)
        normalize_latents(vae, stream.batch(min(1024, config.scenes)))
        vae.save_pretrained(folder)
    return folder


class SceneEncoder:
    """Makes shards of encoded scenes: latents, and the frozen text encoder's states."""

    def __init__(self, config: Config, paths: Paths, device: torch.device) -> None:
        self.book = SpriteBook.load(paths.sprites)
        old = known_nouns(config)
        weights = None if old is None else tuple(1.0 if noun in old else FRESH_WEIGHT for noun in self.book.nouns)
        self.sampler = SceneSampler(self.book.nouns, self.book.natural_colours, weights=weights)
        known = set(self.book.nouns)
        self.writer = CaptionWriter([noun for noun in all_nouns() if noun.word in known])
        self.tokenizer = load_tokenizer(paths.tokenizer)
        self.device = device
        self.vae = load_vae(paths.vae / "final").to(device)
        self.text = load_text_encoder(paths.text / "export").to(device)

    @torch.no_grad()
    def text_states(self, captions: list[str]) -> torch.Tensor:
        """Hidden states (n, 77, width) in half precision."""
        with torch.autocast(self.device.type, torch.bfloat16):
            states = self.text(input_ids=tokenize(self.tokenizer, captions).to(self.device)).last_hidden_state
        return states.half().cpu()

    def caption(self, scene: Scene, rng: random.Random) -> str:
        """A caption, now and then of one word."""
        return self.writer.brief(scene, rng) if rng.random() < BRIEF_SHARE else self.writer.write(scene, rng)

    @torch.no_grad()
    def chunk(self, count: int, composer: Composer, rng: random.Random) -> dict[str, torch.Tensor]:
        """`count` fresh scenes, encoded."""
        scenes = [self.sampler.draw(rng) for _ in range(count)]
        pictures = to_tensor([composer.picture(scene, rng) for scene in scenes]).to(self.device)
        posterior = self.vae.encode(pictures.contiguous(memory_format=torch.channels_last)).latent_dist
        captions = [self.caption(scene, rng) for scene in scenes]
        return {"latents": posterior.mean.half().cpu(), "text": self.text_states(captions)}

    def shard(self, count: int, size: int, seed: int) -> dict[str, torch.Tensor]:
        """`count` fresh scenes at one picture size, encoded chunk by chunk."""
        rng, composer = random.Random(seed), Composer(self.book, size)
        parts = [self.chunk(min(CHUNK, count - start), composer, rng) for start in range(0, count, CHUNK)]
        return {key: torch.cat([part[key] for part in parts]).contiguous() for key in parts[0]}


def shard_sizes(config: Config) -> list[tuple[int, int]]:
    """(scenes, picture size) of every shard: the native ones, then the larger ones."""
    native = [(config.shard, config.picture_size)] * -(-config.scenes // config.shard)
    return native + [(config.large_scenes, size) for size in config.large_sizes]


def shard_file(paths: Paths, index: int, size: int) -> Path:
    """Where a shard lies."""
    return paths.latents / f"shard-{size}-{index:04d}.safetensors"


def make_latents(worker: Worker, config: Config, paths: Paths) -> None:
    """Write every missing shard; workers take turns."""
    encoder = SceneEncoder(config, paths, worker.device)
    if worker.leads:
        save_file({"text": encoder.text_states([""])}, paths.latents / "empty.safetensors")
    for index, (count, size) in enumerate(shard_sizes(config)):
        file = shard_file(paths, index, size)
        if index % worker.count != worker.rank or file.exists():
            continue
        partial = file.with_suffix(".partial")
        save_file(encoder.shard(count, size, seed=1000 + index), partial)
        os.replace(partial, file)
        print(f"[latents] {file.name}", flush=True)


@dataclass(frozen=True)
class Scenes:
    """Encoded scenes of one picture size: latents (n, 4, h, w) and the captions' states (n, 77, width)."""

    latents: torch.Tensor
    text: torch.Tensor


def load_latents(paths: Paths, size: int) -> Scenes:
    """All shards of one picture size, joined."""
    shards = [load_file(file) for file in sorted(paths.latents.glob(f"shard-{size}-*.safetensors"))]
    return Scenes(*(torch.cat([shard[key] for shard in shards]) for key in ("latents", "text")))


def load_empty(paths: Paths) -> torch.Tensor:
    """The empty caption's states (77, width)."""
    return load_file(paths.latents / "empty.safetensors")["text"][0]
