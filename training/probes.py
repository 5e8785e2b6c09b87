"""Does the checkpoint draw what it is told? Nouns, styles, colours, places, two things, one word changed."""

from __future__ import annotations

import random

from training.captions import plain_caption
from training.judging import NEUTRAL, Judging, Probe, noun_scenes, same, share
from training.metrics import background_name, object_colour
from training.nouns import plural, with_article
from training.palette import BACKGROUNDS, OBJECT_COLOURS, SCENERY, STYLES
from training.scenes import Scene, SceneSampler, Thing, held_out_pair

PAIRS = 24
TWINS = 12
PLACES_PER_SCENERY = 8
SWAPS = 12


def captions_of(scenes: list[Scene]) -> list[str]:
    """The plain captions of scenes with one thing."""
    return [plain_caption(scene.things[0], scene.background, scene.style) for scene in scenes]


def probe_nouns(judging: Judging) -> Probe:
    """Nouns and backgrounds in the usual style: renderings, their reconstructions, samples."""
    scenes = noun_scenes(judging.book, judging.config.evaluation_prompts)
    goal, texts = [scene.things[0].noun for scene in scenes], captions_of(scenes)
    drawn, true = judging.draw(texts, seed=0), judging.render(scenes)
    chain = {}
    for name, pictures in (("renderings", true), ("reconstructions", judging.reconstruct(true)), ("samples", drawn)):
        guesses = judging.top(pictures)
        chain[name] = {
            "noun_top1": share([n == g[0] for g, n in zip(guesses, goal, strict=True)]),
            "noun_top5": share([n in g for g, n in zip(guesses, goal, strict=True)]),
            "background": same([background_name(p) for p in pictures], [s.background for s in scenes]),
        }
    wrong = [f"{n} (drawn as {g[0]})" for g, n in zip(judging.top(drawn), goal, strict=True) if g[0] != n]
    return Probe(chain | {"samples_misread": wrong}, drawn, texts)


def probe_styles(judging: Judging) -> Probe:
    """Every noun once in every style: is it the style, is it the noun?"""
    result, pictures, captions = {}, [], []
    for number, style in enumerate(STYLES):
        scenes = noun_scenes(judging.book, 1, style)
        texts, goal = captions_of(scenes), [scene.things[0].noun for scene in scenes]
        drawn, true = judging.draw(texts, seed=5_000 + 1000 * number), judging.render(scenes)
        result[style] = {
            "style": same(judging.styles(drawn), [style] * len(scenes)),
            "style_of_renderings": same(judging.styles(true), [style] * len(scenes)),
            "noun_top1": same([g[0] for g in judging.top(drawn)], goal),
            "noun_top1_of_renderings": same([g[0] for g in judging.top(true)], goal),
            "background": same([background_name(p) for p in drawn], [s.background for s in scenes]),
        }
        pictures, captions = pictures + drawn, captions + texts
    return Probe(result, pictures, captions)


def probe_colours(judging: Judging) -> Probe:
    """Object colours on neutral backgrounds: pairs seen in training, and held-out ones."""
    book = judging.book
    sampler = SceneSampler(book.nouns, book.natural_colours, repainted=1.0)
    held, rng = sampler.held_out_pairs(), random.Random(11)
    seen = [sampler.thing(rng, thing.noun) for thing in held]
    result, pictures, captions = {}, [], []
    for name, things in (("seen_pairs", seen), ("held_out_pairs", held)):
        scenes = [Scene((thing,), NEUTRAL[index % 3]) for index, thing in enumerate(things)]
        if not scenes:
            continue
        texts, goal = captions_of(scenes), [thing.colour for thing in things]
        drawn = judging.draw(texts, seed=20_000)
        result[name] = {
            "pairs": len(things),
            "colour": same([object_colour(p) for p in drawn], goal),
            "colour_of_renderings": same([object_colour(p) for p in judging.render(scenes)], goal),
            "noun_top1": same([g[0] for g in judging.top(drawn)], [t.noun for t in things]),
        }
        pictures, captions = pictures + drawn, captions + texts
    return Probe(result, pictures, captions)


def _pairs(nouns: list[str], held: bool, rng: random.Random) -> list[tuple[str, str]]:
    chosen: list[tuple[str, str]] = []
    for _ in range(200 * PAIRS):
        first, second = rng.sample(nouns, 2)
        if held_out_pair(first, second) == held and len(chosen) < min(PAIRS, len(nouns)):
            chosen.append((first, second))
    return chosen


def probe_pairs(judging: Judging) -> Probe:
    """Two objects, left and right said in words: is each half what it should be?"""
    result, pictures, captions, rng = {}, [], [], random.Random(12)
    for name, held in (("seen_pairs", False), ("held_out_pairs", True)):
        pairs = _pairs(judging.book.nouns, held, rng)
        if not pairs:
            continue
        scenes = [Scene((Thing(a), Thing(b)), NEUTRAL[i % 3]) for i, (a, b) in enumerate(pairs)]
        texts = [
            f"{with_article(a)} on the left and {with_article(b)} on the right on a {s.background} background"
            for (a, b), s in zip(pairs, scenes, strict=True)
        ]
        drawn = judging.draw(texts, seed=30_000)
        found, ceiling = judging.sides(drawn), judging.sides(judging.render(scenes))
        result[name] = {
            "pairs": len(pairs),
            "each_side": same([g for f in found for g in f], [n for p in pairs for n in p]),
            "both_sides": same(found, pairs),
            "swapped": same(found, [pair[::-1] for pair in pairs]),
            "each_side_of_renderings": same([g for f in ceiling for g in f], [n for p in pairs for n in p]),
        }
        pictures, captions = pictures + drawn, captions + texts
    return Probe(result, pictures, captions)


def probe_twins(judging: Judging) -> Probe:
    """ "two cats": is there one on each side?"""
    nouns = judging.book.nouns[:: max(1, len(judging.book.nouns) // TWINS)][:TWINS]
    texts = [f"two {plural(noun)} on a {NEUTRAL[i % 3]} background" for i, noun in enumerate(nouns)]
    drawn = judging.draw(texts, seed=35_000)
    found = judging.sides(drawn)
    return Probe({"prompts": len(nouns), "both_sides": same(found, [(noun, noun) for noun in nouns])}, drawn, texts)


def probe_places(judging: Judging) -> Probe:
    """Scenery instead of a plain background."""
    nouns, places = judging.book.nouns, list(SCENERY) * PLACES_PER_SCENERY
    scenes = [Scene((Thing(nouns[7 * i % len(nouns)]),), place) for i, place in enumerate(places)]
    texts = captions_of(scenes)
    drawn = judging.draw(texts, seed=38_000)
    result = {
        "prompts": len(places),
        "place": same([background_name(p) for p in drawn], places),
        "noun_top1": same([g[0] for g in judging.top(drawn)], [s.things[0].noun for s in scenes]),
    }
    return Probe(result, drawn, texts)


def _seen(judging: Judging, pictures: list) -> list[tuple[str, str | None, str]]:
    """Noun, object colour and background of every picture."""
    nouns = [guess[0] for guess in judging.top(pictures)]
    return [(n, object_colour(p), background_name(p)) for n, p in zip(nouns, pictures, strict=True)]


def probe_swaps(judging: Judging) -> Probe:
    """One word changed, same noise: does that part change, and do the others stay?"""
    book, rng = judging.book, random.Random(13)
    nouns = [noun for noun in book.natural_colours]
    base = [(rng.choice(nouns), rng.choice(list(OBJECT_COLOURS)), rng.choice(("white", "black"))) for _ in range(SWAPS if nouns else 0)]
    if not base:
        return Probe({}, [], [])
    other = [(rng.choice([n for n in nouns if n != b[0]] or nouns), "purple" if b[1] == "blue" else "blue", "gray") for b in base]

    def drawn_with(swapped: int | None) -> tuple[list, list[str], list]:
        told = [tuple(o[k] if k == swapped else b[k] for k in range(3)) for b, o in zip(base, other, strict=True)]
        texts = [plain_caption(Thing(noun, colour), background) for noun, colour, background in told]
        return told, texts, judging.draw(texts, seed=40_000)

    result: dict[str, object] = {"prompts": len(base)}
    pictures, captions = [], []
    for name, swapped in (("noun", 0), ("colour", 1), ("background", 2)):
        told, texts, drawn = drawn_with(swapped)
        seen = _seen(judging, drawn)
        others = [k for k in range(3) if k != swapped]
        result[name] = {
            "changed_as_told": same([s[swapped] for s in seen], [t[swapped] for t in told]),
            "others_as_told": share([all(s[k] == t[k] for k in others) for s, t in zip(seen, told, strict=True)]),
        }
        pictures, captions = pictures + drawn, captions + texts
    return Probe(result, pictures, captions)


def background_count() -> int:
    """How many backgrounds and places the background measure chooses among."""
    return len(BACKGROUNDS) + len(SCENERY)
