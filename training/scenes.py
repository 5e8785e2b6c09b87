"""Scenes: what a training picture shows, drawn at random, before anything is rendered."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass

from training.palette import BACKGROUNDS, OBJECT_COLOURS

OWN_COLOUR_SAID = 0.15


@dataclass(frozen=True)
class Thing:
    """One object of a scene; `colour` is None where captions do not tell it."""

    noun: str
    colour: str | None = None


@dataclass(frozen=True)
class Scene:
    """One or two things, named from left to right, on a background."""

    things: tuple[Thing, ...]
    background: str


def held_out(noun: str, colour: str) -> bool:
    """Whether this (noun, colour) pair is never composed in training (about one in seven)."""
    return zlib.crc32(f"{noun}/{colour}".encode()) % 7 == 0


class SceneSampler:
    """Draws scenes; only nouns in `natural_colours` may be repainted."""

    def __init__(
        self,
        nouns: list[str],
        natural_colours: dict[str, str],
        two_objects: float = 0.1,
        repainted: float = 0.3,
    ) -> None:
        self.nouns = nouns
        self.natural_colours = natural_colours
        self.two_objects = two_objects
        self.repainted = repainted

    def thing(self, rng: random.Random, noun: str) -> Thing:
        """The noun: its colour unsaid, or said, or (unless held out for it) another one."""
        own = self.natural_colours.get(noun)
        draw = rng.random()
        if own is None or draw >= self.repainted + OWN_COLOUR_SAID:
            return Thing(noun)
        if draw >= self.repainted:
            return Thing(noun, own)
        colours = [c for c in OBJECT_COLOURS if c != own and not held_out(noun, c)]
        return Thing(noun, rng.choice(colours))

    def draw(self, rng: random.Random) -> Scene:
        """One random scene."""
        count = 2 if rng.random() < self.two_objects and len(self.nouns) > 1 else 1
        chosen = rng.sample(self.nouns, count)
        things = tuple(self.thing(rng, noun) for noun in chosen)
        return Scene(things, rng.choice(list(BACKGROUNDS)))

    def held_out_pairs(self) -> list[Thing]:
        """Every repaintable (noun, colour) pair that training never shows."""
        return [
            Thing(noun, colour)
            for noun in self.nouns
            for colour in OBJECT_COLOURS
            if noun in self.natural_colours and colour != self.natural_colours[noun] and held_out(noun, colour)
        ]
