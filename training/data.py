"""Stage `data`: artwork to sprites, captions to a tokenizer, and a contact sheet to look at."""

from __future__ import annotations

import json
import random
import shutil

from training.captions import CaptionWriter
from training.compose import Composer
from training.config import Config
from training.nouns import all_nouns
from training.paths import Paths
from training.scenes import SceneSampler
from training.sheets import save_sheet
from training.sources import fetch_icons, fetch_solids
from training.sprites import SpriteBook
from training.tokenizer import write_tokenizer

CAPTIONS = 4000
SHEET_PICTURES = 48


def prepare_data(config: Config, paths: Paths) -> None:
    """Render the sprites and write the tokenizer."""
    icons, nouns = fetch_icons(paths.downloads), all_nouns()[: config.nouns]
    book = SpriteBook.render(icons, fetch_solids(paths.downloads, nouns), nouns, config.sprite_size)
    book.save(paths.sprites)

    rng = random.Random(0)
    sampler = SceneSampler(book.nouns, book.natural_colours, two_objects=0.3, repainted=0.4)
    writer, composer = CaptionWriter(nouns), Composer(book, config.picture_size)
    scenes = [sampler.draw(rng) for _ in range(CAPTIONS)]
    captions = [writer.write(scene, rng) for scene in scenes]
    # Icon names teach the tokenizer some words beyond our captions; they stay short codes.
    names = [name.replace("-", " ") for name in json.loads(icons.read_text())["icons"]]
    start = config.start_from
    if start is None:
        write_tokenizer(captions + names, config.merges, paths.tokenizer)
    else:
        # The words' numbers must stay what the starting checkpoint's weights know.
        shutil.copytree(start / "tokenizer", paths.tokenizer, dirs_exist_ok=True)

    pictures = [composer.picture(scene, rng) for scene in scenes[:SHEET_PICTURES]]
    save_sheet(pictures, paths.sheets / "training_pictures.png", 8, captions[:SHEET_PICTURES])
    print(f"[data] {len(nouns)} nouns, {len(book.sprites)} sprites, {len(book.natural_colours)} repaintable", flush=True)
