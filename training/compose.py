"""Composes scenes into pictures: sprites on plain or shaded backgrounds and in simple places, in three styles."""

from __future__ import annotations

import random

import numpy as np
import torch
from PIL import Image, ImageDraw

from training.nouns import all_nouns
from training.palette import BACKGROUNDS, SCENERY
from training.scenes import Scene, Thing
from training.sprites import SpriteBook

MAX_TILT = 6.0  # degrees
PIXEL = 4  # side of pixel art's squares at 128 px, half a latent cell: the autoencoder keeps them sharp
PIXEL_COLOURS = 10  # of one sprite in pixel art
SIDES = {None: (0.80, 0.95), "small": (0.43, 0.52), "big": (0.98, 1.06)}  # of the sprites' squares, margin and all
_MEADOW_HORIZON, _SEA_HORIZON = 0.64, 0.56


def _shaded(top: np.ndarray, bottom: np.ndarray, size: int) -> Image.Image:
    ramp = np.linspace(0.0, 1.0, size, dtype=np.float32)[:, None, None]
    rows = (top + ramp * (bottom - top)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(rows, (size, size, 3)).copy())


def _plain(name: str, size: int, rng: random.Random) -> Image.Image:
    """A plain or, one time in four, vertically shaded background."""
    base = np.array(BACKGROUNDS[name], np.float32) + [rng.uniform(-7, 7) for _ in range(3)]
    half = rng.choice([-1, 1]) * rng.uniform(8, 20) if rng.random() < 0.25 else 0.0
    return _shaded(base - half, base + half, size)


def _scenery(name: str, size: int, rng: random.Random) -> Image.Image:
    """A place: a sky with stars or a sunset, or a horizon with grass or water below."""
    top, bottom = (np.array(rgb, np.float32) + [rng.uniform(-5, 5) for _ in range(3)] for rgb in SCENERY[name])
    if name in ("night", "sunset"):
        canvas = _shaded(top, bottom, size)
    else:
        canvas = _shaded(top, top + 12, size)
        horizon = round(size * {"meadow": _MEADOW_HORIZON, "sea": _SEA_HORIZON}[name])
        canvas.paste(_shaded(bottom + 10, bottom - 12, size), (0, horizon))
    if name == "night":
        pen, radius = ImageDraw.Draw(canvas), size / 64
        for _ in range(14):
            x, y = rng.uniform(0.02, 0.98) * size, rng.uniform(0.02, 0.8) * size
            r = radius * rng.uniform(0.5, 1.0)
            pen.ellipse((x - r, y - r, x + r, y + r), fill=(255, 244, 200))
    return canvas


def background(name: str, size: int, rng: random.Random) -> Image.Image:
    """The named background or scenery."""
    return _scenery(name, size, rng) if name in SCENERY else _plain(name, size, rng)


def pixelated(sprite: Image.Image, pixels: int) -> Image.Image:
    """The sprite as pixel art of so many squares: few colours, edges without softness."""
    small = sprite.resize((pixels, pixels), Image.Resampling.BOX)
    alpha = small.getchannel("A").point(lambda a: 255 * (a > 110))
    flat = small.convert("RGB").quantize(PIXEL_COLOURS, dither=Image.Dither.NONE).convert("RGB")
    flat.putalpha(alpha)
    return flat


class Composer:
    """Turns scenes into RGB pictures of `size` pixels."""

    def __init__(self, book: SpriteBook, size: int) -> None:
        self.book = book
        self.size = size
        self.flippable = frozenset(noun.word for noun in all_nouns() if noun.flips)

    def sprite(self, thing: Thing, style: str) -> Image.Image:
        """The artwork of one thing."""
        return self.book.sprite(thing.noun, thing.colour, style)

    def _place(self, canvas: Image.Image, thing: Thing, style: str, centre: tuple[float, float], side: float, rng: random.Random) -> None:
        sprite = self.sprite(thing, style)
        if thing.noun in self.flippable and rng.random() < 0.5:
            sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if style != "pixel" and rng.random() < 0.5:
            sprite = sprite.rotate(rng.uniform(-MAX_TILT, MAX_TILT), Image.Resampling.BICUBIC)
        pixels = round(side)
        sprite = pixelated(sprite, pixels) if style == "pixel" else sprite.resize((pixels, pixels), Image.Resampling.BILINEAR)
        left, top = (round(c - pixels / 2) for c in centre)
        canvas.paste(sprite, (left, top), sprite)

    def picture(self, scene: Scene, rng: random.Random) -> Image.Image:
        """One picture of the scene, with small random shifts, sizes and tilts."""
        # Pixel art is composed small and enlarged without softening, background and all.
        size = self.size // PIXEL if scene.style == "pixel" else self.size
        canvas = background(scene.background, size, rng)
        if len(scene.things) == 1:
            side = size * rng.uniform(*SIDES[scene.size])
            centre = (size * (0.5 + rng.uniform(-0.03, 0.03)), size * (0.5 + rng.uniform(-0.03, 0.03)))
            self._place(canvas, scene.things[0], scene.style, centre, side, rng)
        else:
            side, height = size * rng.uniform(0.46, 0.51), size * (0.5 + rng.uniform(-0.03, 0.03))
            for thing, across in zip(scene.things, (0.26, 0.74), strict=True):
                centre = (size * (across + rng.uniform(-0.01, 0.01)), height)
                self._place(canvas, thing, scene.style, centre, side, rng)
        return canvas.resize((self.size, self.size), Image.Resampling.NEAREST)


def to_tensor(pictures: list[Image.Image]) -> torch.Tensor:
    """Pictures as a float tensor (n, 3, h, w) in [-1, 1]."""
    array = np.stack([np.asarray(picture) for picture in pictures])
    return torch.from_numpy(array).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def to_pictures(tensor: torch.Tensor) -> list[Image.Image]:
    """The inverse of `to_tensor`, clamped."""
    array = tensor.detach().float().clamp(-1, 1).add(1).mul(127.5).round().byte()
    return [Image.fromarray(one) for one in array.permute(0, 2, 3, 1).cpu().numpy()]
