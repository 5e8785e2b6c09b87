"""diffusers' XL pipelines are the oracle: same components, same seed, the same final latents to the last bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline, StableDiffusionXLPipeline

from pipelines.components import Components
from pipelines.conditioning import PromptCache
from pipelines.errors import InvalidRequest
from pipelines.plan import EncodePrompt, plan
from pipelines.request import Request
from pipelines.samplers import build_scheduler
from tests.pipelines.engines import Blobs, Engine, Shelf, latents, request, run
from tests.pipelines.families import toys_sdxl
from tests.pipelines.test_oracle import ALL, inputs, mask, picture

PIPELINES = {
    "txt2img": StableDiffusionXLPipeline,
    "img2img": StableDiffusionXLImg2ImgPipeline,
    "inpaint": StableDiffusionXLInpaintPipeline,
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return toys_sdxl.arguments(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def refiner(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return toys_sdxl.arguments(tmp_path_factory.mktemp("toy"), refiner=True)


@pytest.fixture(scope="module")
def blobs() -> Blobs:
    return Blobs()


def ours(parts: dict[str, Any], blobs: Blobs, asked: Request) -> torch.Tensor:
    engine = Engine(Shelf(toy=toys_sdxl.components(parts)), ALL, {}, blobs.__getitem__, previews=False)
    return latents(run(engine, asked))[0]


def theirs(parts: dict[str, Any], asked: Request, **more: Any) -> torch.Tensor:
    """The same request through diffusers' pipeline; an empty negative prompt is left out, as its documentation does."""
    scheduler = build_scheduler(ALL[asked.scheduler], parts["scheduler"].config, asked.schedule)
    given: dict[str, Any] = {"add_watermarker": False}
    if parts["text_encoder"] is None:
        given["requires_aesthetics_score"] = True
    pipeline = PIPELINES[asked.task](**parts | given | {"scheduler": scheduler})
    pipeline.set_progress_bar_config(disable=True)
    if asked.task != "txt2img":
        more |= {"image": picture(), "strength": asked.strength}
    if asked.task == "inpaint":
        more["mask_image"] = mask()
    if asked.task != "img2img":
        more |= {"width": asked.width, "height": asked.height}
    return pipeline(
        prompt=asked.prompt,
        prompt_2=asked.prompt_2 or None,
        negative_prompt=asked.negative_prompt or None,
        negative_prompt_2=asked.negative_prompt_2 or None,
        num_inference_steps=asked.num_inference_steps,
        guidance_scale=asked.guidance_scale,
        generator=torch.Generator().manual_seed(asked.seed),
        output_type="latent",
        **more,
    ).images


STARTS = [("txt2img", None), ("img2img", 0.6), ("inpaint", 0.6), ("inpaint", 1.0)]


@pytest.mark.parametrize(("task", "strength"), STARTS)
@pytest.mark.parametrize("scheduler", ["euler_class", "euler_a_class", "ddim", "unipc"])
def test_latents_are_diffusers_to_the_bit(parts: dict[str, Any], blobs: Blobs, scheduler: str, task: str, strength: float | None) -> None:
    given = {} if strength is None else {"strength": strength}
    asked = request(task, scheduler=scheduler, negative_prompt="dog", **given, **inputs(task, blobs))
    assert torch.equal(ours(parts, blobs, asked), theirs(parts, asked))


@pytest.mark.parametrize("task", PIPELINES)
@pytest.mark.parametrize("guidance_scale", [1.0, 7.5])
def test_an_empty_negative_is_zeros(parts: dict[str, Any], blobs: Blobs, task: str, guidance_scale: float) -> None:
    asked = request(task, scheduler="euler_class", guidance_scale=guidance_scale, **inputs(task, blobs))
    assert torch.equal(ours(parts, blobs, asked), theirs(parts, asked))


def test_an_empty_negative_is_the_empty_text_where_the_checkpoint_says_so(parts: dict[str, Any], blobs: Blobs) -> None:
    told = parts | {"force_zeros_for_empty_prompt": False}
    asked = request(scheduler="euler_class")
    assert torch.equal(ours(told, blobs, asked), theirs(told, asked))
    assert not torch.equal(ours(told, blobs, asked), ours(parts, blobs, asked))


def test_two_prompts(parts: dict[str, Any], blobs: Blobs) -> None:
    asked = request(scheduler="euler_class", prompt_2="an owl", negative_prompt="dog", negative_prompt_2="mouse")
    assert torch.equal(ours(parts, blobs, asked), theirs(parts, asked))


def test_clip_skip_counts_from_the_last_but_one_layer(parts: dict[str, Any], blobs: Blobs) -> None:
    asked = request(scheduler="euler_class", clip_skip=1, guidance_scale=1.0)
    assert torch.equal(ours(parts, blobs, asked), theirs(parts, asked, clip_skip=1))


def test_the_refiner_is_told_an_aesthetic_score(refiner: dict[str, Any], blobs: Blobs) -> None:
    for task in ("img2img", "inpaint"):
        asked = request(task, scheduler="euler_class", strength=0.6, negative_prompt="dog", **inputs(task, blobs))
        assert torch.equal(ours(refiner, blobs, asked), theirs(refiner, asked))


def test_the_refiner_makes_nothing_from_nothing(refiner: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=r"Refiner\) is made for img2img and inpaint only"):
        plan(request(), toys_sdxl.components(refiner))


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_inpainting_checkpoints_get_mask_and_masked_picture_as_channels(tmp_path: Path, blobs: Blobs, strength: float) -> None:
    parts = toys_sdxl.arguments(tmp_path, in_channels=9)
    asked = request("inpaint", scheduler="euler_a_class", strength=strength, **inputs("inpaint", blobs))
    assert torch.equal(ours(parts, blobs, asked), theirs(parts, asked))


def test_models_that_predict_velocity_without_a_last_signal(tmp_path: Path, blobs: Blobs) -> None:
    told = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    parts = toys_sdxl.arguments(tmp_path, **told)
    asked = request(scheduler="euler_class")
    made = ours(parts, blobs, asked)
    assert torch.isfinite(made).all() and torch.equal(made, theirs(parts, asked))


def encoded(components: Components, *prompts: str, negative: bool = False) -> dict[str, torch.Tensor]:
    stage = EncodePrompt(prompts, prompts, negative, 0, "a1111", "original", 20, 96, 64)
    told = PromptCache().told(stage, components, "")[0].conditioning
    return {name: tensor[:1] if negative else tensor for name, tensor in told.items()}


def test_what_the_denoiser_is_told(parts: dict[str, Any]) -> None:
    told = encoded(toys_sdxl.components(parts), "a cat")
    assert {name: tuple(tensor.shape) for name, tensor in told.items()} == {
        "encoder_hidden_states": (1, 77, 40), "text_embeds": (1, toys_sdxl.POOLED), "time_ids": (1, 6)
    }  # fmt: skip
    assert told["time_ids"].tolist() == [[64, 96, 0, 0, 64, 96]]


def test_a_longer_second_prompt_lengthens_the_first_with_nothing(parts: dict[str, Any]) -> None:
    components = toys_sdxl.components(parts)
    long = " ".join("x" * 100)
    told = encoded(components, "a cat", long)["encoder_hidden_states"]
    short = encoded(components, "a cat")["encoder_hidden_states"]
    empty = encoded(components, "")["encoder_hidden_states"]
    assert told.shape == (1, 154, 40)
    assert torch.equal(told[:, :77, :16], short[..., :16]) and torch.equal(told[:, 77:, :16], empty[..., :16])
    assert torch.equal(told[..., 16:], encoded(components, long)["encoder_hidden_states"][..., 16:])


def test_the_refiner_is_told_good_and_bad(refiner: dict[str, Any]) -> None:
    components = toys_sdxl.components(refiner)
    assert encoded(components, "a cat")["time_ids"].tolist() == [[64, 96, 0, 0, 6.0]]
    told = encoded(components, "", negative=True)
    assert told["time_ids"].tolist() == [[64, 96, 0, 0, 2.5]]
    assert told["text_embeds"].any()
