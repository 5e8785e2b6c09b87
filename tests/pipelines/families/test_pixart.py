"""PixArt-Σ, the family of one file: its latents are diffusers' to the last bit, and what diffusers has no pipeline for works too."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, PixArtSigmaPipeline, PixArtTransformer2DModel

from pipelines.catalog import Catalog
from pipelines.components import Components
from pipelines.families import FAMILIES
from pipelines.manager import PipelineManager
from pipelines.names import SCHEDULERS, SchedulerSpec
from pipelines.plan import EncodePrompt
from pipelines.prompts.grammar import schedule
from pipelines.request import Request
from pipelines.samplers import build_scheduler
from tests.pipelines.engines import Blobs, Engine, Shelf, latents, request, run
from tests.pipelines.families.t5_toys import toy_t5, toy_t5_tokenizer
from tests.pipelines.test_oracle import inputs

FAMILY = FAMILIES["pixart_sigma"]
CLASS = {"dpm": SchedulerSpec("DPM++ 2M", cls="DPMSolverMultistepScheduler")}
ALL = dict(SCHEDULERS) | CLASS


def toy_parts(folder: Path, out_channels: int = 8) -> dict[str, Any]:
    torch.manual_seed(0)
    return {
        "tokenizer": toy_t5_tokenizer(folder / "tokenizer"),
        "text_encoder": toy_t5(width=24),
        "transformer": PixArtTransformer2DModel(
            sample_size=8, in_channels=4, out_channels=out_channels, num_layers=2, num_attention_heads=2, attention_head_dim=8,
            cross_attention_dim=16, caption_channels=24, use_additional_conditions=False,
        ).eval(),
        "vae": AutoencoderKL(
            block_out_channels=(4, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            norm_num_groups=4, latent_channels=4, sample_size=64, scaling_factor=0.13025,
        ).eval(),
        "scheduler": DPMSolverMultistepScheduler(beta_schedule="linear", beta_end=0.02),
    }  # fmt: skip


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return toy_parts(tmp_path_factory.mktemp("pixart"))


def components(parts: dict[str, Any]) -> Components:
    modules = {name: parts[name] for name in ("text_encoder", "transformer", "vae")}
    config = {"_class_name": "DPMSolverMultistepScheduler", **parts["scheduler"].config}
    tokenizers = {"text_encoder": parts["tokenizer"]}
    return Components("toy", "automatic", FAMILY, modules, tokenizers, config, torch.device("cpu"), torch.float32)


def ours(parts: dict[str, Any], asked: Request, blobs: Blobs | None = None) -> dict[int, torch.Tensor]:
    engine = Engine(Shelf(toy=components(parts)), ALL, {}, (blobs or Blobs()).__getitem__, previews=False)
    return latents(run(engine, asked))


def theirs(parts: dict[str, Any], asked: Request) -> torch.Tensor:
    pipeline = PixArtSigmaPipeline(**parts | {"scheduler": build_scheduler(CLASS["dpm"], parts["scheduler"].config)})
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        prompt=asked.prompt,
        negative_prompt=asked.negative_prompt,
        width=asked.width,
        height=asked.height,
        num_inference_steps=asked.num_inference_steps,
        guidance_scale=asked.guidance_scale,
        generator=torch.Generator().manual_seed(asked.seed),
        use_resolution_binning=False,
        clean_caption=False,
        output_type="latent",
    ).images


@pytest.mark.parametrize("guidance_scale", [1.0, 4.5])
def test_latents_are_diffusers_to_the_bit(parts: dict[str, Any], guidance_scale: float) -> None:
    asked = request(scheduler="dpm", prompt="A red Cat", negative_prompt="dog", guidance_scale=guidance_scale, width=96)
    assert torch.equal(ours(parts, asked)[0], theirs(parts, asked))


def test_a_model_that_has_learned_no_variance(tmp_path: Path) -> None:
    parts = toy_parts(tmp_path, out_channels=4)
    asked = request(scheduler="dpm", negative_prompt="dog")
    assert torch.equal(ours(parts, asked)[0], theirs(parts, asked))


def encoded(parts: dict[str, Any], text: str) -> Any:
    stage = EncodePrompt((text,), ("",), False, 0, "a1111", "original", 4, 64, 64)
    return FAMILY.encode(components(parts), (schedule(text, 4, "a1111")[0].parts[0],), stage)


def test_long_prompts_go_on_and_padding_to_their_length_changes_nothing(parts: dict[str, Any]) -> None:
    short, long = encoded(parts, "a cat"), encoded(parts, "a cat " * 200)
    assert long["encoder_hidden_states"].shape == (1, 600, 24) and int(long["encoder_attention_mask"].sum()) == 402
    padded, same = FAMILY.align([short, long])
    assert torch.equal(same["encoder_hidden_states"], long["encoder_hidden_states"])
    noise, timestep = torch.randn(1, 4, 8, 8), torch.tensor([500.0])
    with torch.no_grad():
        alone, beside = (FAMILY.predict(parts["transformer"], noise, timestep, told) for told in (short, padded))
    torch.testing.assert_close(beside, alone)


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_tasks_that_diffusers_has_no_pipeline_for(parts: dict[str, Any], task: str) -> None:
    blobs = Blobs()
    given = inputs(task, blobs)
    weak, strong = (
        ours(parts, request(task, strength=strength, num_inference_steps=10, scheduler="euler", **given), blobs)[0]
        for strength in (0.1, 1.0)
    )
    whole = ours(parts, request(scheduler="euler", num_inference_steps=10))[0]
    assert torch.isfinite(weak).all() and not torch.equal(weak, strong)
    if task == "inpaint":
        assert torch.equal(weak[..., :2], strong[..., :2]) and not torch.equal(strong[..., :2], whole[..., :2])  # outside of the mask


@pytest.mark.parametrize("named", ["PixArtTransformer2DModel", "Transformer2DModel"])
def test_a_folder_is_listed_and_loaded(tmp_path: Path, parts: dict[str, Any], named: str) -> None:
    path = tmp_path / "toy"
    PixArtSigmaPipeline(**parts).save_pretrained(path)
    config = path / "transformer" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"_class_name": named}))
    catalog = Catalog([tmp_path])
    info = catalog.checkpoint("toy")
    assert (info.family, info.native_size, info.tasks) == ("pixart_sigma", (64, 64), ["txt2img", "img2img", "inpaint"])
    with PipelineManager(catalog).acquire("toy") as loaded:
        asked = request(scheduler="dpm", negative_prompt="dog")
        engine = Engine(Shelf(toy=loaded), ALL, {}, Blobs().__getitem__, previews=False)
        assert torch.equal(latents(run(engine, asked))[0], theirs(parts, asked))
