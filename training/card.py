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

A text-to-image model small enough to be trained on two CPU cores, and to ship with a program:
{things} everyday things in two styles (3D and flat) at {side}x{side} pixels. It has the
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
picture = pipeline("{prompt}", width={side}, height={side}, num_inference_steps={steps}, guidance_scale={guidance}).images[0]
picture.save("picture.png")
```

Say *a [colour] noun on a [colour] background*, or instead of a background one of: {places}.
Without a style the picture is 3D; add *flat style* for the other. *two cats*, *a small cat*, *a big cat*
and *a red apple on the left and a blue car on the right* work too, though less reliably. A negative
prompt works on what the prompt leaves open ("white background", "at night"); what a noun always is,
a red apple say, it hardly changes: name the colour you want instead.

Nouns: {nouns}. Object colours: {colours}. Background colours: {backgrounds}.

`vae_tiny/` is an `AutoencoderTiny` of the same latents, for previews. `safelight.json` holds the
recommended settings, example prompts and a linear map from latents to colours.
"""

_DATA = """
## Data and licence

All pictures were composed from the artwork of **Fluent Emoji (flat and 3D), (c) Microsoft Corporation,
MIT licence** (npm packages `@iconify-json/fluent-emoji-flat` 1.2.6 and `@lobehub/fluent-emoji-3d` 1.1.0):
one object, or in about one picture of six two, on a plain or softly shaded background or a simple
scenery, with small shifts, sizes and tilts. Objects with one dominant colour were also repainted; pixel
art was made from the flat artwork. Captions were generated from a grammar of synonyms and word orders.
No photographs, no people, no web text.

The weights are under Apache-2.0; keep the notice of the MIT-licensed artwork with them.

## Limits

* It knows the nouns above and nothing else; unknown words give something from its book.
* It redraws its training artwork: pictures are variations of known icons, not inventions (`memory` in
  evaluation.json: the nearest training sprite is nearly always the noun's own).
* The judge only has to tell a thing from the other nouns, and forgives soft drawing: a high number means
  recognisable, not perfect. Things on a background of their own colour are faint.
* *pixel style* was in the training pictures, but its squares get lost in the autoencoder: it draws flat, soft shapes.
* Filling a hole works, with a faint seam (numbers above).
* Small details (eyes, wheels, spokes) come out soft or wrong more often than outlines do.
* It was made at {side}x{side} pixels. From 192 pixels on shapes fall apart, although the judge, which looks at
  everything at 64 pixels, still names them: make the picture at {side}x{side} and enlarge it.
* Two things in one picture are small, and drawn less well than one.
"""


def _table(head: tuple[object, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def _chain(result: dict) -> str:
    chance = result["chance"]
    rows = [(name, *(result["chain"][name].values())) for name in ("renderings", "reconstructions", "samples")]
    rows.append(("chance", chance["noun_top1"], chance["noun_top5"], chance["background"]))
    return _table(("", "noun top-1 %", "noun top-5 %", "background %"), rows)


def _styles(result: dict) -> str:
    head = ("style", "style right %", "(renderings %)", "noun top-1 %", "(renderings %)", "background %")
    rows = [(name, *part.values()) for name, part in result["styles"].items()]
    return _table(
        head, [*rows, ("chance", result["chance"]["style"], "", result["chance"]["noun_top1"], "", result["chance"]["background"])]
    )


def _colours(result: dict) -> str:
    head = ("object colour", "pairs", "colour %", "(renderings %)", "noun top-1 %")
    return _table(head, [(name.replace("_", " "), *part.values()) for name, part in result["object_colour"].items()])


def _pairs(result: dict) -> str:
    head = ("two objects, left and right said", "prompts", "each side %", "both sides %", "swapped %", "(renderings, each side %)")
    return _table(head, [(name.replace("_", " "), *part.values()) for name, part in result["two_objects"].items()])


def _guidance(result: dict) -> str:
    return _table(
        ("guidance", "noun top-1 %", "background %"),
        [(scale, part["noun_top1"], part["background"]) for scale, part in result["guidance_sweep"].items()],
    )


def _sentences(result: dict) -> list[str]:
    twins, places, holes, variety, memory = (result[k] for k in ("twins", "places", "inpaint", "variety", "memory"))
    swap, negative, large = result["word_swap"], result["negative_prompt_red"], result["large"]
    lines = [
        f'"Two ..." ({twins["prompts"]} prompts): the thing on both sides {twins["both_sides"]} %.',
        f"Scenery ({places['prompts']} prompts): the place {places['place']} %, the noun {places['noun_top1']} %.",
        f"A hole over the object, another noun as prompt ({holes['prompts']}): that noun {holes['noun_top1']} %, with the background "
        f"unsaid {holes['noun_top1_background_unsaid']} %; step in RGB across the hole's edge {holes['seam']} "
        f"(reconstructions of untouched pictures {holes['seam_of_reconstructions']}).",
        f"Distance between seeds of one prompt {variety['between_seeds']} of 255 (between renderings {variety['between_renderings']}).",
        f"Nearest training sprite: the noun's own for {memory['nearest_sprite_is_the_nouns_own']} %, at distance "
        f"{memory['distance_to_nearest']} (fresh renderings {memory['distance_of_fresh_renderings']}).",
    ]
    for name in ("noun", "colour", "background"):
        if name in swap:
            lines.append(
                f"Only the {name} changed ({swap['prompts']} prompts): it follows {swap[name]['changed_as_told']} %, "
                f"the rest stays {swap[name]['others_as_told']} %."
            )
    if negative:
        lines.append(
            f'Red things with negative prompt "red" ({negative["prompts"]}): red pixels {negative["red_pixels"]} → '
            f"{negative['red_pixels_with_negative']} %, judged red {negative['red_before']} → {negative['still_red']} %. "
            f"A background left open by the prompt, then named as negative: it changes in {negative['unsaid_background_moves_away']} %."
        )
    lines += [f"At {size} px: noun {part['noun_top1']} %, background {part['background']} %." for size, part in large.items()]
    return lines


def _numbers(result: dict) -> str:
    speed = result["speed"]
    head = (
        f"## Numbers\n\n`python -m training evaluate`: {result['pictures']} pictures, all prompts, fixed seeds, {result['steps']} steps, "
        f"guidance {result['guidance']}. The judge is a small CNN trained on renderings only.\n"
    )
    lines = "\n".join(f"* {line}" for line in _sentences(result)) + "\n"
    time = (
        f"Time: {speed['picture_seconds']} s per picture, {speed['preview_milliseconds']} ms per preview "
        f"({speed['threads']} CPU threads, single precision).\n"
    )
    return "\n".join([head, _chain(result), _styles(result), _colours(result), _pairs(result), _guidance(result), lines, time])


def _training(paths: Paths) -> str:
    rows = []
    for name in ("text", "vae", "denoiser", "polish", "tiny"):
        log = json.loads((paths.root / name / "log.json").read_text())
        loss = next((entry["loss"] for entry in reversed(log) if entry.get("loss")), 0.0)
        rows.append((name, round(log[-1]["seconds"] / 60, 1), log[-1]["step"], log[-1]["samples"], f"{loss:.3f}"))
    psnr = json.loads((paths.polish / "log.json").read_text())[-1].get("psnr", 0.0)
    table = _table(("stage", "minutes", "steps", "samples", "last loss"), rows)
    return (
        f"\n## Training\n\n{table}\nAutoencoder: {psnr:.1f} dB on fresh pictures. Steps are per worker process. "
        "A run begins with the weights of the checkpoint shipped before it; the table is the last run alone. "
        "The recipe is the `training` package.\n"
    )


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
        "places": ", ".join(about["places"]),
        "colours": ", ".join(about["colours"]),
        "backgrounds": ", ".join(about["background_colours"]),
    }
    card = _HEADER.format(**values) + "\n" + _numbers(result) + _USE.format(**values) + _training(paths) + _DATA.format(**values)
    (checkpoint / "README.md").write_text(card)
