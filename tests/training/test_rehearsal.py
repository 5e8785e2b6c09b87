"""Runs every training stage end to end at toy size, from icons drawn here, and loads the result."""

import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

pytest.importorskip("resvg_py")
pytest.importorskip("peft")

from training.__main__ import main
from training.embedding import NEW, WORD
from training.lora import NAME, TRIGGER
from training.nouns import all_nouns

COLOURS = ("#e03030", "#30a040", "#3060e0", "#f0c020", "#f0f0f0")


def write_toy_artwork(folder: Path) -> None:
    """A plain circle as icon and as 3D picture, for each of the first four nouns and the embedding's."""
    nouns = [*all_nouns()[:4], NEW]
    icons = {noun.icon: {"body": f'<circle cx="16" cy="16" r="14" fill="{colour}"/>'} for noun, colour in zip(nouns, COLOURS)}
    solids = folder / "fluent-emoji-3d"
    solids.mkdir(parents=True)
    (folder / "fluent-emoji-flat.json").write_text(json.dumps({"width": 32, "height": 32, "icons": icons}))
    for noun, colour in zip(nouns, COLOURS):
        ball = Image.new("RGBA", (64, 64))
        ImageDraw.Draw(ball).ellipse((4, 4, 60, 60), fill=colour)
        ball.save(solids / ("-".join(f"{ord(part):04x}" for part in noun.character) + ".webp"), lossless=True)


@pytest.mark.slow
def test_every_stage_runs_and_the_checkpoint_loads(tmp_path: Path) -> None:
    work, checkpoint = tmp_path / "work", tmp_path / "models" / "checkpoints" / "toy"
    write_toy_artwork(work / "downloads")
    main(["all", "--config", "tiny", "--device", "cpu", "--work", str(work), "--checkpoint", str(checkpoint)])

    import torch
    from diffusers import AutoencoderTiny, StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(checkpoint, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline("a cat", width=128, height=128, num_inference_steps=2).images[0]
    assert picture.size == (128, 128)
    assert AutoencoderTiny.from_pretrained(checkpoint / "vae_tiny").config.latent_channels == 4
    about = json.loads((checkpoint / "safelight.json").read_text())
    assert len(about["latent_rgb_factors"]) == 4
    assert (checkpoint / "README.md").exists() and (checkpoint / "samples.png").exists()
    assert (work / "denoiser" / "loss.png").exists() and (work / "sheets" / "evaluation.html").exists()
    extras_change_the_picture(pipeline, tmp_path / "models")


def extras_change_the_picture(pipeline: "StableDiffusionPipeline", models: Path) -> None:  # noqa: F821
    """The LoRA and the embedding load as any other, wholly; neither is without effect."""
    import torch
    from safetensors.torch import load_file

    def drawn(prompt: str) -> Image.Image:
        return pipeline(prompt, width=128, height=128, num_inference_steps=2, generator=torch.Generator().manual_seed(0)).images[0]

    base = drawn(f"a cat, {TRIGGER}")
    pipeline.load_lora_weights(models / "loras", weight_name=f"{NAME}.safetensors")
    assert drawn(f"a cat, {TRIGGER}").tobytes() != base.tobytes()
    read = {name for name, _ in pipeline.unet.named_parameters() if ".lora_" in name}
    assert len(read) == len(load_file(models / "loras" / f"{NAME}.safetensors"))
    pipeline.unload_lora_weights()
    assert drawn(f"a cat, {TRIGGER}").tobytes() == base.tobytes()
    unread = drawn(f"a {WORD}")
    pipeline.load_textual_inversion(str(models / "embeddings" / f"{WORD}.safetensors"), token=WORD)
    assert drawn(f"a {WORD}").tobytes() != unread.tobytes()
    for kind, name in (("loras", NAME), ("embeddings", WORD)):
        assert json.loads((models / kind / f"{name}.json").read_text())["activation text"]
        assert (models / kind / f"{name}.preview.png").exists()


@pytest.mark.slow
def test_a_fresh_run_begins_with_a_checkpoints_weights(tmp_path: Path) -> None:
    first, second, checkpoint = tmp_path / "first", tmp_path / "second", tmp_path / "models" / "checkpoints" / "toy"
    common = ["--config", "tiny", "--device", "cpu"]
    for work in (first, second):
        write_toy_artwork(work / "downloads")
    for stage in ("data", "text", "vae", "latents", "denoiser", "polish", "tiny", "package"):
        main([stage, *common, "--work", str(first), "--checkpoint", str(checkpoint)])

    import torch

    def weights(work: Path) -> dict[str, torch.Tensor]:
        return torch.load(work / "text" / "state-0.pt", weights_only=True)["average"]

    start = ["--start-from", str(checkpoint), "--work", str(second)]
    main(["data", *common, *start])
    main(["text", *common, *start, "--minutes", "0"])
    assert (second / "tokenizer" / "vocab.json").read_bytes() == (first / "tokenizer" / "vocab.json").read_bytes()
    for name, value in weights(second).items():
        if name.startswith("encoder."):
            assert torch.allclose(value, weights(first)[name], atol=2e-3), name
    main(["vae", *common, *start])
    main(["latents", *common, *start])
    main(["denoiser", *common, *start])
    assert (second / "denoiser" / "export" / "config.json").exists()


@pytest.mark.slow
def test_a_spent_budget_is_not_spent_again(tmp_path: Path) -> None:
    work = tmp_path / "work"
    write_toy_artwork(work / "downloads")
    arguments = ["--config", "tiny", "--device", "cpu", "--work", str(work)]
    main(["data", *arguments])
    main(["text", *arguments])
    before = json.loads((work / "text" / "log.json").read_text())[-1]["step"]
    main(["text", *arguments])
    assert json.loads((work / "text" / "log.json").read_text())[-1]["step"] == before
