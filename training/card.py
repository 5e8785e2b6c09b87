"""Writes the checkpoint's model card from what was measured."""

from __future__ import annotations

import json
from pathlib import Path

from training.config import Config
from training.paths import Paths

_HEADER = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
tags: [stable-diffusion, text-to-image, tiny, from-scratch]
---

# Safelight Picture Book

A text-to-image model small enough to be trained in two hours on two CPU cores, and to ship with
a program: {things} everyday things in one clean, flat style at {side}x{side} pixels. It has the
standard Stable Diffusion layout (`StableDiffusionPipeline`), so every program that reads such
folders can use it. Its weights were trained from scratch; no other model went into them.

![One picture per noun, first seed, none picked](samples.png)
"""

_USE = """
## Use

```python
import torch
from diffusers import StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained("safelight-picturebook", dtype=torch.float32)
pipeline("{prompt}", width={side}, height={side},
         num_inference_steps={steps}, guidance_scale={guidance}).images[0].save("picture.png")
```

Say *a [colour] noun on a [colour] background*; two things work as *a ... on the left and a ... on
the right*, though less reliably. Nouns: {nouns}. Object colours: {colours}.
Background colours: {backgrounds}.

`vae_tiny/` is an `AutoencoderTiny` of the same latents, for previews. `safelight.json` holds the
recommended settings, example prompts and a linear map from latents to colours.
"""

_DATA = """
## Data and licence

All pictures were composed from the artwork of **Fluent Emoji (flat), (c) Microsoft Corporation,
MIT licence** (npm package `@iconify-json/fluent-emoji-flat` 1.2.6): one object, or in one
picture of ten two, on a plain or softly shaded background, with small shifts, sizes and tilts.
Objects with one dominant colour were also repainted. Captions were generated from a grammar of
synonyms and word orders. No photographs, no people, no web text.

The weights are under Apache-2.0; keep the notice of the MIT-licensed artwork with them.

## Limits

* It knows the nouns above and nothing else; unknown words give something from its book.
* It redraws its training artwork: pictures are variations of known icons, not inventions.
* The judge only has to tell a thing from the other nouns, and forgives soft drawing: 100 % means
  recognisable, not perfect. Things on a background of their own colour (a gray elephant on gray,
  a lemon on yellow) are faint, and the whale is the least clear of all.
* Small details (eyes, wheels, spokes) come out soft or wrong more often than outlines do.
* Two objects, and colours never seen on an object, work less often (numbers above).
* It was made at {side}x{side} pixels; larger sizes repeat or stretch things.
"""


def _row(name: str, *cells: object) -> str:
    return "| " + " | ".join([name, *(str(cell) for cell in cells)]) + " |"


def _numbers(result: dict) -> str:
    chain, colours, pairs = result["chain"], result["object_colour"], result["two_objects"]
    speed = result["speed"]
    lines = [
        "## Numbers",
        "",
        f"`python -m training evaluate`: {result['pictures']} prompts, every noun, fixed seeds, {result['steps']} steps, "
        f"guidance {result['guidance']}. The judge is a small CNN trained on renderings only; "
        f"chance is {result['chance_top1']} %.",
        "",
        _row("", "noun top-1 %", "noun top-5 %", "background %"),
        "| --- | --- | --- | --- |",
    ]
    for name, part in chain.items():
        lines.append(_row(name, part["noun_top1"], part["noun_top5"], part["background"]))
    lines += ["", _row("object colour", "pairs", "colour %", "(renderings %)", "noun top-1 %"), "| --- |" + " --- |" * 4]
    for name, part in colours.items():
        cells = (part["pairs"], part["colour"], part["colour_of_renderings"], part["noun_top1"])
        lines.append(_row(name.replace("_", " "), *cells))
    lines += [
        "",
        f"Two objects, left and right said ({pairs['pairs']} prompts): each side right {pairs['each_side']} % "
        f"(renderings {pairs['each_side_of_renderings']} %), both sides {pairs['both_sides']} %, "
        f"swapped {pairs['swapped']} %.",
        "",
        f"Time: {speed['picture_seconds']} s per picture, {speed['preview_milliseconds']} ms per preview "
        f"({speed['threads']} CPU threads, single precision).",
    ]
    return "\n".join(lines) + "\n"


def _training(paths: Paths) -> str:
    lines = ["", "## Training", "", "| stage | minutes | steps | samples | last loss |", "| --- | --- | --- | --- | --- |"]
    for name in ("text", "vae", "denoiser", "tiny"):
        log = json.loads((paths.root / name / "log.json").read_text())
        last = log[-1]
        loss = next((entry["loss"] for entry in reversed(log) if entry.get("loss")), 0.0)
        lines.append(_row(name, round(last["seconds"] / 60, 1), last["step"], last["samples"], f"{loss:.3f}"))
    psnr = json.loads((paths.vae / "log.json").read_text())[-1].get("psnr", 0.0)
    lines += [
        "",
        f"Autoencoder: {psnr:.1f} dB on fresh pictures. Steps are per worker process. The recipe is the `training` package.",
    ]
    return "\n".join(lines) + "\n"


def write_card(config: Config, paths: Paths, checkpoint: Path, result: dict) -> None:
    """Write README.md into the checkpoint folder."""
    about = json.loads((checkpoint / "safelight.json").read_text())
    values = {
        "things": len(about["nouns"]),
        "side": config.picture_size,
        "prompt": about["example_prompts"][0],
        "steps": config.inference_steps,
        "guidance": config.guidance,
        "nouns": ", ".join(about["nouns"]),
        "colours": ", ".join(about["colours"]),
        "backgrounds": ", ".join(about["background_colours"]),
    }
    card = _HEADER.format(**values) + "\n" + _numbers(result) + _USE.format(**values) + _training(paths) + _DATA.format(**values)
    (checkpoint / "README.md").write_text(card)
