"""Stage `evaluate`: how often the packaged checkpoint draws what it was told; all prompts, fixed seeds, no picking."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from tqdm import tqdm

from training import habits, probes
from training.card import write_card
from training.config import Config
from training.judge import load_judge
from training.judging import Judging, Probe
from training.palette import OBJECT_COLOURS, STYLES
from training.paths import Paths
from training.sampling import Parts
from training.sheets import save_sheet
from training.speed import measure_speed
from training.sprites import SpriteBook

PROBES: dict[str, Callable[[Judging], Probe]] = {
    "chain": probes.probe_nouns,
    "styles": probes.probe_styles,
    "object_colour": probes.probe_colours,
    "two_objects": probes.probe_pairs,
    "twins": probes.probe_twins,
    "places": probes.probe_places,
    "word_swap": probes.probe_swaps,
    "guidance_sweep": habits.probe_guidance,
    "negative_prompt_red": habits.probe_negative,
    "inpaint": habits.probe_holes,
    "large": habits.probe_large,
    "variety": habits.probe_variety,
}
SAMPLE_COLUMNS = 16


def load_pipeline(checkpoint: Path) -> StableDiffusionPipeline:
    """The packaged checkpoint, read as any program would read it."""
    pipeline = StableDiffusionPipeline.from_pretrained(checkpoint, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def load_judging(config: Config, paths: Paths, pipeline: StableDiffusionPipeline) -> Judging:
    """The checkpoint's parts beside the judge and the artwork."""
    book = SpriteBook.load(paths.sprites)
    parts = Parts(pipeline.tokenizer, pipeline.text_encoder, pipeline.unet, pipeline.vae)
    return Judging(config, book, load_judge(paths.judge / "judge.safetensors", len(book.nouns)), parts)


def chance(nouns: int) -> dict[str, float]:
    """What guessing would score, in percent."""
    return {
        "noun_top1": round(100.0 / nouns, 1),
        "noun_top5": round(500.0 / nouns, 1),
        "background": round(100.0 / probes.background_count(), 1),
        "object_colour": round(100.0 / len(OBJECT_COLOURS), 1),
        "style": round(100.0 / len(STYLES), 1),
    }


def write_page(file: Path, found: dict[str, Probe]) -> None:
    """One HTML page with every picture of every probe and its prompt."""

    def figure(probe: Probe, index: int) -> str:
        held = io.BytesIO()
        probe.pictures[index].save(held, "WEBP", quality=85)
        data = base64.b64encode(held.getvalue()).decode()
        return f'<figure><img src="data:image/webp;base64,{data}"><figcaption>{html.escape(probe.captions[index])}</figcaption></figure>'

    style = "body{font:13px sans-serif}figure{display:inline-block;width:136px;margin:4px;vertical-align:top}img{width:128px}"
    parts = [f"<!doctype html><meta charset=utf-8><title>Every evaluation picture</title><style>{style}</style>"]
    for name, probe in found.items():
        numbers = html.escape(json.dumps(probe.numbers, indent=1))
        parts.append(f"<h2>{name}</h2><pre>{numbers}</pre>" + "".join(figure(probe, k) for k in range(len(probe.pictures))))
    file.write_text("\n".join(parts), encoding="utf-8")


def evaluate(config: Config, paths: Paths, checkpoint: Path) -> None:
    """Print the numbers; write evaluation.json, the page of all pictures, the samples' sheet and the model card."""
    pipeline = load_pipeline(checkpoint)
    judging = load_judging(config, paths, pipeline)
    found = {name: probe(judging) for name, probe in tqdm(PROBES.items(), desc="evaluate")}
    found["memory"] = habits.probe_memory(judging, found["chain"].pictures)
    nouns = len(judging.book.nouns)
    result = {
        "nouns": nouns,
        "pictures": sum(len(probe.pictures) for probe in found.values()),
        "chance": chance(nouns),
        "steps": config.inference_steps,
        "guidance": config.guidance,
        **{name: probe.numbers for name, probe in found.items()},
        "speed": measure_speed(config, checkpoint, pipeline),
    }
    write_page(paths.sheets / "evaluation.html", found)
    save_sheet(found["chain"].pictures[:nouns], checkpoint / "samples.png", SAMPLE_COLUMNS)
    (checkpoint / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    write_card(config, paths, checkpoint, result)
    print(json.dumps(result, indent=2), flush=True)
