"""Words for scenes: synonyms, word orders, styles, and captions that leave things out."""

from __future__ import annotations

import random

from training.nouns import Noun, plural, with_article
from training.palette import SCENERY, STYLES
from training.scenes import Scene, Thing

_OTHER_NAMES = {"gray": "grey", "sky blue": "light blue", "purple": "violet", "teal": "turquoise"}
_OPENINGS = {
    "3d": ("a 3d render of ", "a 3d picture of ", "3d render of ", "a 3d illustration of ", "3d style, ", "3d render, "),
    "flat": (
        "a flat picture of ",
        "flat illustration of ",
        "a flat illustration of ",
        "a flat drawing of ",
        "flat style, ",
    ),
    "pixel": ("pixel art of ", "a pixel art picture of ", "a pixel art ", "pixel style, ", "pixel art, ", "8-bit pixel art of "),
}
_NEUTRAL_OPENINGS = ("a picture of ", "an illustration of ", "a drawing of ", "an emoji of ", "an image of ")  # no style named
_CLOSINGS = {
    "3d": (", 3d style", ", 3d style", ", 3d render", ", 3d", " in 3d style"),
    "flat": (", flat style", ", flat style", ", flat illustration", ", flat", " in flat style"),
    "pixel": (", pixel style", ", pixel style", ", pixel art", ", 8-bit pixel art", " in pixel style"),
}
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
_PLACES = {
    "night": ("at night", "at night", "under the stars", "in the night sky", "in a starry night"),
    "sunset": ("at sunset", "at sunset", "in the sunset", "at dusk", "in the evening"),
    "meadow": ("on a meadow", "on the grass", "in a field", "outdoors", "on a green meadow"),
    "sea": ("at the sea", "on the water", "by the sea", "in the ocean", "on the sea"),
}
_PAIRS = (
    "{left} and {right}",
    "{left} and {right}",
    "{left} next to {right}",
    "{left} on the left and {right} on the right",
    "{left} on the left, {right} on the right",
    "{right} on the right and {left} on the left",
    "{left} to the left of {right}",
    "{right} to the right of {left}",
)
_TWINS = ("two {}", "two {}", "2 {}", "a pair of {}")
_SIZES = {"small": ("small", "tiny", "little"), "big": ("big", "large", "huge")}
_FILLERS = ("cute", "lovely", "beautiful", "simple", "nice", "pretty", "happy")  # they change nothing
_QUALITIES = (", high quality", ", detailed", ", centered", ", clean", ", best quality", ", masterpiece")


class CaptionWriter:
    """Writes captions for scenes; every choice comes from the generator it is given."""

    def __init__(self, nouns: list[Noun]) -> None:
        self.synonyms = {noun.word: noun.synonyms for noun in nouns}

    def _colour(self, name: str, rng: random.Random) -> str:
        return _OTHER_NAMES[name] if name in _OTHER_NAMES and rng.random() < 0.15 else name

    def _phrase(self, thing: Thing, rng: random.Random, size: str | None = None) -> str:
        """The noun or a synonym, with its colour and size in front."""
        word, others = thing.noun, self.synonyms[thing.noun]
        if others and rng.random() < 0.3:
            word = rng.choice(others)
        words = [self._colour(thing.colour, rng)] if thing.colour else []
        words += [rng.choice(_SIZES[size])] if size else []
        words += [rng.choice(_FILLERS)] if rng.random() < 0.12 else []
        rng.shuffle(words)
        return " ".join([*words, word])

    def _subject(self, scene: Scene, rng: random.Random) -> str:
        articles = rng.random() < 0.85
        if scene.twins:
            phrase = plural(self._phrase(scene.things[0], rng))
            return rng.choice(_TWINS).format(phrase)
        names = [self._phrase(thing, rng, scene.size) for thing in scene.things]
        names = [with_article(name) for name in names] if articles else names
        return names[0] if len(names) == 1 else rng.choice(_PAIRS).format(left=names[0], right=names[1])

    def _placed(self, text: str, name: str, rng: random.Random) -> str:
        """The text with its background or scenery before, behind, or left out (one time in eight)."""
        draw = rng.random()
        if name in SCENERY:
            place = rng.choice(_PLACES[name])
            return f"{place}, {text}" if draw < 0.12 else f"{text} {place}" if draw < 0.94 else f"{text}, {place}"
        colour = self._colour(name, rng)
        if draw < 0.68:
            return f"{text} {rng.choice(_BACKDROPS).format(colour).replace(' a orange', ' an orange')}"
        if draw < 0.78:
            return f"{text}, {colour} background"
        return f"{colour} background, {text}" if draw < 0.88 else text

    def write(self, scene: Scene, rng: random.Random) -> str:
        """One caption of the scene; a style other than the usual one is always named."""
        text, style = self._subject(scene, rng), scene.style
        named = rng.random() < 0.5 if style == STYLES[0] else True
        opening = named and rng.random() < 0.4
        if opening:
            text = _opened(rng.choice(_OPENINGS[style]), text)
        elif not named and rng.random() < 0.2:
            text = rng.choice(_NEUTRAL_OPENINGS) + text
        text = self._placed(text, scene.background, rng)
        if named and not opening:
            text += rng.choice(_CLOSINGS[style])
        return text + rng.choice(_QUALITIES) if rng.random() < 0.08 else text

    def brief(self, scene: Scene, rng: random.Random) -> str:
        """One word about the scene, as negative prompts are: a noun, a colour, a place or a style."""
        colours = [self._colour(thing.colour, rng) for thing in scene.things if thing.colour]
        place = rng.choice(_PLACES[scene.background]) if scene.background in SCENERY else f"{scene.background} background"
        words = [scene.things[0].noun, place, rng.choice(_CLOSINGS[scene.style]).strip(", ")]
        return rng.choice(colours * 3 + words)


def _opened(opening: str, text: str) -> str:
    """ "a pixel art " takes the place of the article; all other openings go before it."""
    if opening == "a pixel art ":
        for article in ("a ", "an "):
            if text.startswith(article):
                return opening + text[len(article) :]
        return "pixel art " + text
    return opening + text


def tells_background(scene: Scene, caption: str) -> bool:
    """Whether the caption written for the scene names its background."""
    name = scene.background
    if name in SCENERY:
        return True
    names = [name, _OTHER_NAMES[name]] if name in _OTHER_NAMES else [name]
    return any(f"{n} background" in caption or f" on {n}" in caption for n in names)


def place_phrase(background: str) -> str:
    """How evaluation and examples name a background or scenery."""
    if background in SCENERY:
        return _PLACES[background][0]
    return f"on a {background} background".replace(" a orange", " an orange")


def plain_caption(thing: Thing, background: str, style: str = STYLES[0]) -> str:
    """The caption evaluation and examples use."""
    phrase = f"{thing.colour} {thing.noun}" if thing.colour else thing.noun
    ending = "" if style == STYLES[0] else f", {style} style"
    return f"{with_article(phrase)} {place_phrase(background)}{ending}"
