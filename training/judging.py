"""What all probes share: the judge, the artwork, and the packaged checkpoint's parts."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import torch
from PIL import Image

from training.compose import PIXEL, Composer, to_tensor
from training.config import Config
from training.judge import Judge, halves
from training.metrics import blockiness
from training.palette import BACKGROUNDS, STYLES
from training.sampling import Parts, Wish
from training.scenes import Scene, Thing
from training.sprites import ARTWORKS, SpriteBook

BLOCKY = 0.6  # a quarter where nothing follows the grid, 1 in pixel art
NEUTRAL = ("white", "black", "gray")


@dataclass(frozen=True)
class Probe:
    """One probe's numbers, and all its pictures with their captions."""

    numbers: dict[str, object]
    pictures: list[Image.Image]
    captions: list[str]


@dataclass(frozen=True)
class Judging:
    """The judge, the artwork, and the packaged parts, ready to compare."""

    config: Config
    book: SpriteBook
    judge: Judge
    parts: Parts

    def wish(self, seed: int) -> Wish:
        """The recommended settings."""
        return Wish(self.config.inference_steps, self.config.guidance, seed)

    def draw(self, captions: list[str], seed: int, **other: object) -> list[Image.Image]:
        """Samples at the recommended settings, or at `other` ones."""
        return self.parts.draw(captions, replace(self.wish(seed), **other))

    def render(self, scenes: list[Scene], size: int | None = None) -> list[Image.Image]:
        """True pictures of the scenes."""
        rng, composer = random.Random(4321), Composer(self.book, size or self.config.picture_size)
        return [composer.picture(scene, rng) for scene in scenes]

    def reconstruct(self, pictures: list[Image.Image]) -> list[Image.Image]:
        """The pictures through the autoencoder and back."""
        return self.parts.decode(self.parts.encode(pictures))

    @torch.no_grad()
    def _told(self, pictures: list[Image.Image]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.judge(to_tensor(pictures))

    def top(self, pictures: list[Image.Image], count: int = 5) -> list[list[str]]:
        """The judge's first guesses for every picture."""
        order = self._told(pictures)[0].topk(min(count, len(self.book.nouns)), 1).indices
        return [[self.book.nouns[i] for i in row] for row in order.tolist()]

    def styles(self, pictures: list[Image.Image]) -> list[str]:
        """The style of every picture: pixel art by its squares, which the judge is too coarse for, else the judge's."""
        told = self._told(pictures)[1][:, : len(ARTWORKS)].argmax(1).tolist()
        squares = [blockiness(picture, PIXEL) > BLOCKY for picture in pictures]
        return ["pixel" if blocky else STYLES[i] for blocky, i in zip(squares, told, strict=True)]

    def sides(self, pictures: list[Image.Image]) -> list[tuple[str, str]]:
        """The judge's nouns for the left and the right of every picture."""
        guesses = self.top([half for picture in pictures for half in halves(picture)], 1)
        return [(guesses[k][0], guesses[k + 1][0]) for k in range(0, len(guesses), 2)]


def share(right: list[bool]) -> float:
    """The share of true answers in percent."""
    return round(100.0 * sum(right) / max(1, len(right)), 1)


def same(found: list, wanted: list) -> float:
    """How often the two lists agree, in percent."""
    return share([a == b for a, b in zip(found, wanted, strict=True)])


def noun_scenes(book: SpriteBook, turns: int, style: str = STYLES[0]) -> list[Scene]:
    """Every noun in its own colours on `turns` backgrounds, all backgrounds in turn."""
    names = list(BACKGROUNDS)
    return [
        Scene((Thing(noun),), names[(index + 6 * turn + turn) % len(names)], style)
        for turn in range(turns)
        for index, noun in enumerate(book.nouns)
    ]


def enlarged(pictures: list[Image.Image], size: int) -> list[Image.Image]:
    """The pictures at another size."""
    return [picture.resize((size, size), Image.Resampling.BICUBIC) for picture in pictures]
