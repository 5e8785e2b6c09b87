"""Words for scenes: synonyms, word orders, and captions that leave things out."""

from __future__ import annotations

import random

from training.nouns import Noun, with_article
from training.scenes import Scene, Thing

_OTHER_NAMES = {"gray": "grey", "sky blue": "light blue", "purple": "violet", "teal": "turquoise"}
_OPENINGS = ("a picture of ", "an illustration of ", "a drawing of ", "a flat picture of ", "an emoji of ")
_CLOSINGS = (", flat style", ", flat style", ", flat illustration", ", picture book style", ", emoji")
_BACKDROPS = (
    "on a {} background",
    "on a {} background",
    "on a {} background",
    "with a {} background",
    "in front of a {} background",
    "against a {} background",
    "on a plain {} background",
    "on {}",
)
_PAIRS = (
    "{left} and {right}",
    "{left} and {right}",
    "{left} next to {right}",
    "{left} on the left and {right} on the right",
    "{right} on the right and {left} on the left",
    "{left} to the left of {right}",
    "{right} to the right of {left}",
)


class CaptionWriter:
    """Writes captions for scenes; every choice comes from the generator it is given."""

    def __init__(self, nouns: list[Noun]) -> None:
        self.synonyms = {noun.word: noun.synonyms for noun in nouns}

    def _colour(self, name: str, rng: random.Random) -> str:
        return _OTHER_NAMES[name] if name in _OTHER_NAMES and rng.random() < 0.15 else name

    def _thing(self, thing: Thing, rng: random.Random, articles: bool) -> str:
        word, others = thing.noun, self.synonyms[thing.noun]
        if others and rng.random() < 0.3:
            word = rng.choice(others)
        phrase = f"{self._colour(thing.colour, rng)} {word}" if thing.colour else word
        return with_article(phrase) if articles else phrase

    def _backdrop(self, name: str, rng: random.Random) -> str:
        phrase = rng.choice(_BACKDROPS).format(self._colour(name, rng))
        return phrase.replace(" a orange", " an orange")

    def write(self, scene: Scene, rng: random.Random) -> str:
        """One caption of the scene; about one in eight does not tell the background."""
        articles = rng.random() < 0.85
        names = [self._thing(thing, rng, articles) for thing in scene.things]
        text = names[0] if len(names) == 1 else rng.choice(_PAIRS).format(left=names[0], right=names[1])
        opening = rng.random() < 0.2
        if opening:
            text = rng.choice(_OPENINGS) + text
        draw = rng.random()
        if draw < 0.68:
            text = f"{text} {self._backdrop(scene.background, rng)}"
        elif draw < 0.78:
            text = f"{text}, {self._colour(scene.background, rng)} background"
        elif draw < 0.88:
            text = f"{self._colour(scene.background, rng)} background, {text}"
        if not opening and rng.random() < 0.35:
            text += rng.choice(_CLOSINGS)
        return text


def tells_background(scene: Scene, caption: str) -> bool:
    """Whether the caption written for the scene names its background."""
    name = scene.background
    names = [name, _OTHER_NAMES[name]] if name in _OTHER_NAMES else [name]
    return any(f"{n} background" in caption or f" on {n}" in caption for n in names)


def plain_caption(thing: Thing, background: str) -> str:
    """The caption evaluation and examples use."""
    phrase = f"{thing.colour} {thing.noun}" if thing.colour else thing.noun
    return f"{with_article(phrase)} on a {background} background".replace(" a orange", " an orange")
