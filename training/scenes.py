"""Scenes: what a training picture shows, drawn at random, before anything is rendered."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass

from training.palette import BACKGROUNDS, OBJECT_COLOURS, SCENERY, STYLES

OWN_COLOUR_SAID = 0.15
SCENERY_SHARE = 0.16
TWINS_SHARE = 0.25  # of the pictures with two objects
SIZED_SHARE = 0.1  # of the pictures with one object
STYLE_SHARES = (0.46, 0.36, 0.18)


@dataclass(frozen=True)
class Thing:
    """One object of a scene; `colour` is None where captions do not tell it."""

    noun: str
    colour: str | None = None


@dataclass(frozen=True)
class Scene:
    """One or two things, named from left to right, on a background, drawn in a style."""

    things: tuple[Thing, ...]
    background: str
    style: str = STYLES[0]
    size: str | None = None  # "small", "big", or nothing said

    @property
    def twins(self) -> bool:
        """Whether it shows the same thing twice."""
        return len(self.things) == 2 and self.things[0] == self.things[1]


def held_out(noun: str, colour: str) -> bool:
    """Whether this (noun, colour) pair is never composed in training (about one in seven)."""
    return zlib.crc32(f"{noun}/{colour}".encode()) % 7 == 0


def held_out_pair(first: str, second: str) -> bool:
    """Whether these two nouns never share a picture in training (about one pair in seven)."""
    return first != second and zlib.crc32("/".join(sorted((first, second))).encode()) % 7 == 1


@dataclass(frozen=True)
class SceneSampler:
    """Draws scenes; only nouns in `natural_colours` may be repainted."""

    nouns: list[str]
    natural_colours: dict[str, str]
    two_objects: float = 0.16
    repainted: float = 0.3
    weights: tuple[float, ...] | None = None  # how often each noun is drawn; None: all alike

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

    def _noun(self, rng: random.Random) -> str:
        return rng.choices(self.nouns, self.weights)[0]

    def things(self, rng: random.Random) -> tuple[Thing, ...]:
        """One thing, twins, or two different nouns that may share a picture."""
        first = self.thing(rng, self._noun(rng))
        if rng.random() >= self.two_objects:
            return (first,)
        if rng.random() < TWINS_SHARE:
            return (first, first)
        partners = [n for n in self.nouns if n != first.noun and not held_out_pair(first.noun, n)]
        if not partners:
            return (first,)
        pair = [first, self.thing(rng, rng.choice(partners))]
        rng.shuffle(pair)
        return tuple(pair)

    def draw(self, rng: random.Random) -> Scene:
        """One random scene."""
        things = self.things(rng)
        places = SCENERY if rng.random() < SCENERY_SHARE else BACKGROUNDS
        style = rng.choices(STYLES, STYLE_SHARES)[0]
        sized = len(things) == 1 and rng.random() < SIZED_SHARE
        return Scene(things, rng.choice(list(places)), style, rng.choice(("small", "big")) if sized else None)

    def held_out_pairs(self) -> list[Thing]:
        """Every repaintable (noun, colour) pair that training never shows."""
        return [
            Thing(noun, colour)
            for noun in self.nouns
            for colour in OBJECT_COLOURS
            if noun in self.natural_colours and colour != self.natural_colours[noun] and held_out(noun, colour)
        ]
