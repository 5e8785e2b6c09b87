"""How the checkpoint behaves: guidance, negative prompts, holes, larger sizes, variety, and what it remembers."""

from __future__ import annotations

import itertools
import random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from training.captions import place_phrase, plain_caption
from training.compose import Composer, to_tensor
from training.judging import NEUTRAL, Judging, Probe, noun_scenes, same, share
from training.metrics import background_name, object_colour
from training.nouns import with_article
from training.palette import OBJECT_COLOURS
from training.probes import captions_of
from training.sampling import Hole
from training.scenes import Scene, Thing

GUIDANCES = (1.0, 2.0, 3.0, 5.0, 8.0)
SWEEP_NOUNS = 20
NEGATIVE_PROMPTS = 16
HOLES = 20
SEEDS, SEED_NOUNS = 5, 6
LARGE = (192, 256)
LARGE_NOUNS = 10
HOLE_PART = (0.125, 0.875)  # of each side: the hole covers the object and leaves a rim


def _spread(items: list, count: int) -> list:
    """`count` of the items, evenly chosen."""
    return items[:: max(1, len(items) // count)][:count]


def probe_guidance(judging: Judging) -> Probe:
    """The same prompts and noise at several guidance scales."""
    scenes = _spread(noun_scenes(judging.book, 1), SWEEP_NOUNS)
    texts, goal = captions_of(scenes), [scene.things[0].noun for scene in scenes]
    result, pictures, captions = {}, [], []
    for scale in GUIDANCES:
        drawn = judging.draw(texts, seed=50_000, guidance=scale)
        result[str(scale)] = {
            "noun_top1": same([g[0] for g in judging.top(drawn)], goal),
            "background": same([background_name(p) for p in drawn], [s.background for s in scenes]),
        }
        pictures, captions = pictures + drawn, captions + texts
    return Probe(result, pictures, captions)


def _redness(pictures: list[Image.Image]) -> float:
    """The mean share of clearly red pixels, in percent."""
    shares = []
    for picture in pictures:
        hsv = np.asarray(picture.convert("HSV"), np.float32) / 255.0
        hue = np.abs((hsv[..., 0] * 360.0 - OBJECT_COLOURS["red"][0] + 180.0) % 360.0 - 180.0)
        shares.append(((hue < 20) & (hsv[..., 1] > 0.4) & (hsv[..., 2] > 0.4)).mean())
    return round(100.0 * float(np.mean(shares)), 1)


def _moved_away(judging: Judging) -> float:
    """Prompts without a background, then with the background they got as negative prompt: does it change? In percent."""
    texts = [with_article(noun) for noun in _spread(judging.book.nouns, NEGATIVE_PROMPTS)]
    before = [background_name(picture) for picture in judging.draw(texts, seed=56_000)]
    changed = []
    for index, (text, name) in enumerate(zip(texts, before, strict=True)):
        (after,) = judging.draw([text], seed=56_000 + index, negative=place_phrase(name).removeprefix("on a ").removeprefix("on an "))
        changed.append(background_name(after) != name)
    return share(changed)


def probe_negative(judging: Judging) -> Probe:
    """Things red by nature, plain and with the negative prompt "red"."""
    red = [noun for noun, colour in judging.book.natural_colours.items() if colour == "red"]
    nouns = list(itertools.islice(itertools.cycle(red), NEGATIVE_PROMPTS if red else 0))
    if not nouns:
        return Probe({}, [], [])
    texts = [plain_caption(Thing(noun), NEUTRAL[i % 3]) for i, noun in enumerate(nouns)]
    plain, without = judging.draw(texts, seed=55_000), judging.draw(texts, seed=55_000, negative="red")
    moved = _moved_away(judging)
    result = {
        "prompts": len(texts),
        "red_pixels": _redness(plain),
        "red_pixels_with_negative": _redness(without),
        "still_red": share([object_colour(p) == "red" for p in without]),
        "red_before": share([object_colour(p) == "red" for p in plain]),
        "noun_top1_with_negative": same([g[0] for g in judging.top(without)], nouns),
        "unsaid_background_moves_away": moved,
    }
    return Probe(result, plain + without, texts + [f"{text} | not red" for text in texts])


def _rim_step(picture: Image.Image, low: int, high: int) -> float:
    """The mean jump in RGB across the hole's edge, 0..255."""
    rgb = np.asarray(picture, np.float32)
    inner, outer = slice(low, high), (low - 2, high + 1)
    jumps = [np.abs(rgb[inner, low + 1] - rgb[inner, outer[0]]), np.abs(rgb[inner, high - 2] - rgb[inner, outer[1]])]
    jumps += [np.abs(rgb[low + 1, inner] - rgb[outer[0], inner]), np.abs(rgb[high - 2, inner] - rgb[outer[1], inner])]
    return float(np.mean(jumps))


def probe_holes(judging: Judging) -> Probe:
    """A hole over a rendering's object, another noun as prompt: the noun, the background, the seam."""
    scenes = _spread(noun_scenes(judging.book, 1), HOLES)
    nouns = judging.book.nouns
    wanted = [nouns[(nouns.index(scene.things[0].noun) + 17) % len(nouns)] for scene in scenes]
    true = judging.render(scenes)
    known = judging.parts.encode(true)
    side, size = known.shape[-1], true[0].width
    low, high = (round(part * side) for part in HOLE_PART)
    mask = torch.zeros(len(scenes), 1, side, side)
    mask[:, :, low:high, low:high] = 1.0
    texts = [plain_caption(Thing(noun), scene.background) for noun, scene in zip(wanted, scenes, strict=True)]
    drawn = judging.draw(texts, seed=60_000, hole=Hole(known, mask))
    told = judging.draw([with_article(noun) for noun in wanted], seed=60_000, hole=Hole(known, mask))
    edges = (low * size // side, high * size // side)
    result = {
        "prompts": len(texts),
        "noun_top1": same([g[0] for g in judging.top(drawn)], wanted),
        "noun_top1_background_unsaid": same([g[0] for g in judging.top(told)], wanted),
        "seam": round(float(np.mean([_rim_step(p, *edges) for p in told])), 1),
        "seam_of_reconstructions": round(float(np.mean([_rim_step(p, *edges) for p in judging.reconstruct(true)])), 1),
    }
    return Probe(result, true + drawn + told, [*captions_of(scenes), *texts, *[f"{n}, background unsaid" for n in wanted]])


def probe_large(judging: Judging) -> Probe:
    """Pictures larger than the native size, judged alike (the judge sees everything at one size)."""
    scenes = _spread(noun_scenes(judging.book, 1), LARGE_NOUNS)
    texts, goal = captions_of(scenes), [scene.things[0].noun for scene in scenes]
    halvings = len(judging.config.vae_channels) - 1
    result, pictures, captions = {}, [], []
    for size in LARGE:
        drawn = judging.draw(texts, seed=65_000, side=size // 2**halvings)
        result[str(size)] = {
            "noun_top1": same([g[0] for g in judging.top(drawn)], goal),
            "background": same([background_name(p) for p in drawn], [s.background for s in scenes]),
        }
        pictures, captions = pictures + drawn, captions + [f"{size} px: {text}" for text in texts]
    return Probe(result, pictures, captions)


def _distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Root mean square differences of all pairs, in units of 0..255, at a quarter of the size."""
    small = [F.avg_pool2d(part, 4).flatten(1) for part in (a, b)]
    return 127.5 * torch.cdist(*small) / small[0].shape[1] ** 0.5


def probe_variety(judging: Judging) -> Probe:
    """How unlike the pictures of one prompt are from seed to seed."""
    nouns = _spread(judging.book.nouns, SEED_NOUNS)
    texts = [plain_caption(Thing(noun), "white") for noun in nouns for _ in range(SEEDS)]
    drawn, true = judging.draw(texts, seed=70_000), judging.render([Scene((Thing(n),), "white") for n in nouns for _ in range(SEEDS)])

    def spread(pictures: list[Image.Image]) -> float:
        groups = to_tensor(pictures).split(SEEDS)
        pairs = [_distance(g, g)[tuple(torch.triu_indices(SEEDS, SEEDS, 1))].mean() for g in groups]
        return round(float(torch.stack(pairs).mean()), 1)

    return Probe({"between_seeds": spread(drawn), "between_renderings": spread(true)}, drawn, texts)


def probe_memory(judging: Judging, drawn: list[Image.Image]) -> Probe:
    """The nearest training sprite of every noun's first picture: how near, and whether it is the noun's own."""
    scenes = noun_scenes(judging.book, 1)
    goal, fresh = [scene.things[0].noun for scene in scenes], judging.render(scenes)
    rng, size = random.Random(14), judging.config.picture_size
    composer = Composer(judging.book, size)
    own, nearest, renewed = [], [], []
    for scene, one, other in zip(scenes, drawn[: len(scenes)], fresh, strict=True):
        tries = [Scene((Thing(noun),), scene.background) for noun in judging.book.nouns for _ in range(4)]
        pictures = to_tensor([composer.picture(each, rng) for each in tries])
        distances = _distance(to_tensor([one, other]), pictures)
        near = int(distances[0].argmin())
        own.append(tries[near].things[0].noun)
        nearest.append(float(distances[0, near]))
        renewed.append(float(distances[1].min()))
    result = {
        "nearest_sprite_is_the_nouns_own": same(own, goal),
        "distance_to_nearest": round(float(np.mean(nearest)), 1),
        "distance_of_fresh_renderings": round(float(np.mean(renewed)), 1),
    }
    return Probe(result, [], [])
