"""Stage `judge`: a small CNN that names what it sees, trained on renderings only.

It shares neither architecture nor data path with the model it judges: no latents, no samples.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from training.compose import Composer, to_tensor
from training.config import Config
from training.loop import Job, train
from training.palette import STYLES
from training.paths import Paths
from training.scenes import SceneSampler
from training.sprites import SpriteBook
from training.workers import Worker

INPUT = 64  # pictures are judged at this size
BLUR_SIDES = (16, 24, 32, 48)


class Judge(nn.Module):
    """Strided and grouped convolutions, then one linear layer over the nouns and one over the styles."""

    def __init__(self, nouns: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in (24, 48, 96, 160):
            layers += [nn.Conv2d(before, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.Conv2d(width, width, 3, 1, 1, groups=width // 8), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.2))
        self.head = nn.Linear(4 * before, nouns)
        self.style = nn.Linear(4 * before, len(STYLES))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Noun and style logits for pictures in [-1, 1]."""
        seen = self.body(F.interpolate(pictures, (INPUT, INPUT), mode="area"))
        return self.head(seen), self.style(seen)


def halves(picture: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The left and right middle of a two-object picture, each enlarged to full size."""
    side = picture.width // 2
    top = (picture.height - side) // 2
    crops = (picture.crop((left, top, left + side, top + side)) for left in (0, side))
    first, second = (crop.resize(picture.size, Image.Resampling.BICUBIC) for crop in crops)
    return first, second


class JudgeStream:
    """Endless labelled renderings: whole pictures, and one in four times halves of pairs."""

    def __init__(self, config: Config, book: SpriteBook, seed: int) -> None:
        self.rng = random.Random(seed)
        self.book = book
        self.single = SceneSampler(book.nouns, book.natural_colours, two_objects=0.0, repainted=0.3)
        self.double = SceneSampler(book.nouns, book.natural_colours, two_objects=1.0, repainted=0.3)
        self.composer = Composer(book, config.picture_size)

    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures in [-1, 1], and noun and style numbers (size, 2)."""
        pictures: list[Image.Image] = []
        labels: list[tuple[int, int]] = []
        while len(pictures) < size:
            paired = self.rng.random() < 0.25
            scene = (self.double if paired else self.single).draw(self.rng)
            picture = self.composer.picture(scene, self.rng)
            pictures += halves(picture) if paired else (picture,)
            labels += [(self.book.nouns.index(thing.noun), STYLES.index(scene.style)) for thing in scene.things]
        return to_tensor(pictures[:size]), torch.tensor(labels[:size])


def roughen(pictures: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Noise and, every second time, blur, so that softness alone does not fool the judge."""
    pictures = pictures + 0.05 * rng.random() * torch.randn_like(pictures)
    if rng.random() < 0.5:
        side, full = rng.choice(BLUR_SIDES), pictures.shape[-1]
        small = F.interpolate(pictures, (side, side), mode="area")
        pictures = F.interpolate(small, (full, full), mode="bilinear")
    return pictures


def train_judge(worker: Worker, config: Config, paths: Paths) -> None:
    """Train until the budget is spent; exports to `judge/judge.safetensors`."""
    book = SpriteBook.load(paths.sprites)
    torch.manual_seed(0)
    model = Judge(len(book.nouns)).to(worker.device)
    stream = JudgeStream(config, book, seed=100 + worker.rank)
    pictures, labels = (part.to(worker.device) for part in JudgeStream(config, book, seed=9100).batch(256))

    def loss(judge: nn.Module) -> torch.Tensor:
        made, goal = stream.batch(config.judge_batch)
        nouns, styles = judge(roughen(made.to(worker.device), stream.rng))
        goal = goal.to(worker.device)
        return F.cross_entropy(nouns, goal[:, 0]) + 0.3 * F.cross_entropy(styles, goal[:, 1])

    @torch.no_grad()
    def export(judge: nn.Module) -> dict[str, float]:
        save_file(judge.state_dict(), paths.judge / "judge.safetensors")
        right = [float((told.argmax(1) == labels[:, k]).float().mean()) for k, told in enumerate(judge(pictures))]
        return {"nouns_right": right[0], "styles_right": right[1]}

    job = Job(
        folder=paths.judge,
        model=model,
        loss=loss,
        export=export,
        minutes=config.judge_minutes,
        rate=config.judge_rate,
        batch=config.judge_batch,
        cosine_from=0.2,
        sync_every=config.sync_every,
        average_decay=0.99,
        export_seconds=min(60.0, config.export_seconds),
    )
    train(job, worker)


def load_judge(file: Path, nouns: int) -> Judge:
    """The trained judge, for inference."""
    judge = Judge(nouns)
    judge.load_state_dict(load_file(file))
    return judge.eval().requires_grad_(False)
