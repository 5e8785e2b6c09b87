"""Runs every training stage end to end at toy size, from icons drawn here, and loads the result."""

import json
from pathlib import Path

import pytest

pytest.importorskip("resvg_py")

from training.__main__ import main
from training.nouns import all_nouns

COLOURS = ("#e03030", "#30a040", "#3060e0", "#f0c020")


def write_toy_icons(folder: Path) -> None:
    """An Iconify file with a plain circle for each of the first four nouns."""
    icons = {noun.icon: {"body": f'<circle cx="16" cy="16" r="14" fill="{colour}"/>'} for noun, colour in zip(all_nouns(), COLOURS)}
    folder.mkdir(parents=True)
    (folder / "fluent-emoji-flat.json").write_text(json.dumps({"width": 32, "height": 32, "icons": icons}))


@pytest.mark.slow
def test_every_stage_runs_and_the_checkpoint_loads(tmp_path: Path) -> None:
    work, checkpoint = tmp_path / "work", tmp_path / "checkpoint"
    write_toy_icons(work / "downloads")
    main(["all", "--config", "tiny", "--device", "cpu", "--work", str(work), "--checkpoint", str(checkpoint)])

    import torch
    from diffusers import AutoencoderTiny, StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(checkpoint, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline("a cat", width=64, height=64, num_inference_steps=2).images[0]
    assert picture.size == (64, 64)
    assert AutoencoderTiny.from_pretrained(checkpoint / "vae_tiny").config.latent_channels == 4
    about = json.loads((checkpoint / "safelight.json").read_text())
    assert len(about["latent_rgb_factors"]) == 4
    assert (checkpoint / "README.md").exists() and (checkpoint / "samples.png").exists()


@pytest.mark.slow
def test_a_spent_budget_is_not_spent_again(tmp_path: Path) -> None:
    work = tmp_path / "work"
    write_toy_icons(work / "downloads")
    arguments = ["--config", "tiny", "--device", "cpu", "--work", str(work)]
    main(["data", *arguments])
    main(["text", *arguments])
    before = json.loads((work / "text" / "log.json").read_text())[-1]["step"]
    main(["text", *arguments])
    assert json.loads((work / "text" / "log.json").read_text())[-1]["step"] == before
