"""Composes scenes into pictures: sprites on plain or softly shaded backgrounds."""

from __future__ import annotations

import random

import numpy as np
import torch
from PIL import Image

from training.nouns import all_nouns
from training.palette import BACKGROUNDS
from training.scenes import Scene, Thing
from training.sprites import SpriteBook

MAX_TILT = 8.0  # degrees


def background(name: str, size: int, rng: random.Random) -> Image.Image:
    """A plain or, one time in four, vertically shaded background."""
    base = np.array(BACKGROUNDS[name], np.float32) + [rng.uniform(-7, 7) for _ in range(3)]
    if rng.random() < 0.75:
        return Image.new("RGB", (size, size), tuple(int(c) for c in base.clip(0, 255)))
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)[:, None, None] * rng.choice([-1, 1])
    rows = (base + ramp * rng.uniform(16, 40)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(rows, (size, size, 3)).copy())


class Composer:
    """Turns scenes into RGB pictures of `size` pixels."""

    def __init__(self, book: SpriteBook, size: int) -> None:
        self.book = book
        self.size = size
        self.flippable = frozenset(noun.word for noun in all_nouns() if noun.flips)

    def _place(self, canvas: Image.Image, thing: Thing, centre: tuple[float, float], side: float, rng: random.Random) -> None:
        sprite = self.book.sprites[thing.noun, thing.colour]
        if thing.noun in self.flippable and rng.random() < 0.5:
            sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if rng.random() < 0.5:
            sprite = sprite.rotate(rng.uniform(-MAX_TILT, MAX_TILT), Image.Resampling.BICUBIC)
        pixels = round(side)
        sprite = sprite.resize((pixels, pixels), Image.Resampling.BOX, reducing_gap=None)
        left, top = (max(0, min(self.size - pixels, round(c - pixels / 2))) for c in centre)
        canvas.paste(sprite, (left, top), sprite)

    def picture(self, scene: Scene, rng: random.Random) -> Image.Image:
        """One picture of the scene, with small random shifts, sizes and tilts."""
        size = self.size
        canvas = background(scene.background, size, rng)
        if len(scene.things) == 1:
            side = size * rng.uniform(0.74, 0.88)
            centre = (size * (0.5 + rng.uniform(-0.03, 0.03)), size * (0.5 + rng.uniform(-0.03, 0.03)))
            self._place(canvas, scene.things[0], centre, side, rng)
            return canvas
        side, height = size * rng.uniform(0.42, 0.47), size * (0.5 + rng.uniform(-0.03, 0.03))
        for thing, across in zip(scene.things, (0.26, 0.74), strict=True):
            centre = (size * (across + rng.uniform(-0.01, 0.01)), height)
            self._place(canvas, thing, centre, side, rng)
        return canvas


def to_tensor(pictures: list[Image.Image]) -> torch.Tensor:
    """Pictures as a float tensor (n, 3, h, w) in [-1, 1]."""
    array = np.stack([np.asarray(picture) for picture in pictures])
    return torch.from_numpy(array).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def to_pictures(tensor: torch.Tensor) -> list[Image.Image]:
    """The inverse of `to_tensor`, clamped."""
    array = tensor.detach().float().clamp(-1, 1).add(1).mul(127.5).round().byte()
    return [Image.fromarray(one) for one in array.permute(0, 2, 3, 1).cpu().numpy()]
