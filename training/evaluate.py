"""Stage `evaluate`: how often the packaged checkpoint draws what it was told, all nouns, fixed seeds."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from training.captions import plain_caption
from training.card import write_card
from training.compose import Composer, to_pictures, to_tensor
from training.config import Config
from training.judge import Judge, halves, load_judge
from training.metrics import background_name, object_colour
from training.nouns import with_article
from training.palette import BACKGROUNDS
from training.paths import Paths
from training.sampling import Parts
from training.scenes import Scene, SceneSampler, Thing
from training.sheets import save_sheet
from training.speed import measure_speed
from training.sprites import SpriteBook

NEUTRAL = ("white", "black", "gray")
MAX_PAIRS = 32


@dataclass(frozen=True)
class Judging:
    """The judge, the artwork, and the packaged parts, ready to compare."""

    config: Config
    book: SpriteBook
    judge: Judge
    parts: Parts

    def draw(self, captions: list[str], seed: int) -> list[Image.Image]:
        """Samples at the recommended settings."""
        return self.parts.draw(captions, self.config.inference_steps, self.config.guidance, seed)

    def render(self, scenes: list[Scene]) -> list[Image.Image]:
        """True pictures of the scenes."""
        rng, composer = random.Random(4321), Composer(self.book, self.config.picture_size)
        return [composer.picture(scene, rng) for scene in scenes]

    @torch.no_grad()
    def reconstruct(self, pictures: list[Image.Image]) -> list[Image.Image]:
        """The pictures through the autoencoder and back."""
        vae = self.parts.vae
        parts = to_tensor(pictures).split(16)
        return to_pictures(torch.cat([vae.decode(vae.encode(part).latent_dist.mean).sample for part in parts]))

    @torch.no_grad()
    def top(self, pictures: list[Image.Image], count: int = 5) -> list[list[str]]:
        """The judge's first guesses for every picture."""
        count = min(count, len(self.book.nouns))
        order = self.judge(to_tensor(pictures)).topk(count, 1).indices
        return [[self.book.nouns[i] for i in row] for row in order.tolist()]


def share(right: list[bool]) -> float:
    """The share of true answers in percent."""
    return round(100.0 * sum(right) / max(1, len(right)), 1)


def noun_scenes(config: Config, book: SpriteBook) -> list[Scene]:
    """Every noun in its own colours on `evaluation_prompts` backgrounds, all backgrounds in turn."""
    names = list(BACKGROUNDS)
    return [
        Scene((Thing(noun),), names[(index + 6 * turn + turn) % len(names)])
        for turn in range(config.evaluation_prompts)
        for index, noun in enumerate(book.nouns)
    ]


def judge_nouns(judging: Judging) -> tuple[dict[str, dict[str, float]], list[Scene], list[Image.Image]]:
    """The chain renderings, reconstructions, samples on the same scenes."""
    scenes = noun_scenes(judging.config, judging.book)
    rendered = judging.render(scenes)
    drawn = judging.draw([plain_caption(s.things[0], s.background) for s in scenes], seed=10_000)
    chain = {"renderings": rendered, "reconstructions": judging.reconstruct(rendered), "samples": drawn}
    result = {}
    for name, pictures in chain.items():
        guesses, goal = judging.top(pictures), [s.things[0].noun for s in scenes]
        result[name] = {
            "noun_top1": share([g[0] == n for g, n in zip(guesses, goal, strict=True)]),
            "noun_top5": share([n in g for g, n in zip(guesses, goal, strict=True)]),
            "background": share([background_name(p) == s.background for p, s in zip(pictures, scenes, strict=True)]),
        }
    return result, scenes, drawn


def judge_colours(judging: Judging) -> tuple[dict[str, dict[str, float]], list[Image.Image], list[str]]:
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
        texts = [plain_caption(s.things[0], s.background) for s in scenes]
        drawn = judging.draw(texts, seed=20_000)
        pictures, captions = pictures + drawn, captions + texts
        goal = [thing.colour for thing in things]
        result[name] = {
            "pairs": len(things),
            "colour": share([object_colour(p) == c for p, c in zip(drawn, goal, strict=True)]),
            "colour_of_renderings": share([object_colour(p) == c for p, c in zip(judging.render(scenes), goal, strict=True)]),
            "noun_top1": share([g[0] == t.noun for g, t in zip(judging.top(drawn), things, strict=True)]),
        }
    return result, pictures, captions


def judge_pairs(judging: Judging) -> tuple[dict[str, float], list[Image.Image], list[str]]:
    """Two objects, left and right said in words: is each half what it should be?"""
    rng, nouns = random.Random(12), judging.book.nouns
    pairs = [tuple(rng.sample(nouns, 2)) for _ in range(min(MAX_PAIRS, len(nouns)))]
    scenes = [Scene((Thing(a), Thing(b)), NEUTRAL[i % 3]) for i, (a, b) in enumerate(pairs)]
    texts = [
        f"{with_article(a)} on the left and {with_article(b)} on the right on a {s.background} background"
        for (a, b), s in zip(pairs, scenes, strict=True)
    ]
    drawn = judging.draw(texts, seed=30_000)

    def sides(pictures: list[Image.Image]) -> list[tuple[str, str]]:
        guesses = judging.top([half for picture in pictures for half in halves(picture)], 1)
        return [(guesses[k][0], guesses[k + 1][0]) for k in range(0, len(guesses), 2)]

    found, ceiling = sides(drawn), sides(judging.render(scenes))
    result = {
        "pairs": len(pairs),
        "each_side": share([g == n for f, p in zip(found, pairs, strict=True) for g, n in zip(f, p, strict=False)]),
        "both_sides": share([f == p for f, p in zip(found, pairs, strict=True)]),
        "swapped": share([f == p[::-1] for f, p in zip(found, pairs, strict=True)]),
        "each_side_of_renderings": share([g == n for f, p in zip(ceiling, pairs, strict=True) for g, n in zip(f, p, strict=False)]),
    }
    return result, drawn, texts


def load_pipeline(checkpoint: Path) -> StableDiffusionPipeline:
    """The packaged checkpoint, read as any program would read it."""
    pipeline = StableDiffusionPipeline.from_pretrained(checkpoint, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def evaluate(config: Config, paths: Paths, checkpoint: Path) -> None:
    """Print the numbers; write evaluation.json, a picture page and the model card."""
    book, pipeline = SpriteBook.load(paths.sprites), load_pipeline(checkpoint)
    parts = Parts(pipeline.tokenizer, pipeline.text_encoder, pipeline.unet, pipeline.vae)
    judge = load_judge(paths.judge / "judge.safetensors", len(book.nouns))
    judging = Judging(config, book, judge, parts)
    chain, scenes, drawn = judge_nouns(judging)
    colours, colour_pictures, colour_texts = judge_colours(judging)
    pairs, pair_pictures, pair_texts = judge_pairs(judging)
    result = {
        "nouns": len(book.nouns),
        "pictures": len(drawn),
        "chance_top1": round(100.0 / len(book.nouns), 1),
        "steps": config.inference_steps,
        "guidance": config.guidance,
        "chain": chain,
        "object_colour": colours,
        "two_objects": pairs,
        "speed": measure_speed(config, checkpoint, pipeline),
    }
    texts = [plain_caption(s.things[0], s.background) for s in scenes]
    page = paths.sheets / "evaluation.png"
    save_sheet(drawn + colour_pictures + pair_pictures, page, 12, texts + colour_texts + pair_texts, scale=2)
    save_sheet(drawn[: len(book.nouns)], checkpoint / "samples.png", 13)
    (checkpoint / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    write_card(config, paths, checkpoint, result)
    print(json.dumps(result, indent=2), flush=True)
