"""diffusers' own pipelines are the oracle: same components, same seed, the same final latents to the last bit."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline
from PIL import Image
from transformers import CLIPTokenizer

from pipelines.catalog import BUILT_IN, Catalog
from pipelines.manager import PipelineManager
from pipelines.names import SCHEDULERS, SchedulerSpec
from pipelines.request import Request
from pipelines.samplers import build_scheduler
from tests.pipelines.engines import Blobs, Engine, Shelf, components, latents, request, run
from tests.toys import toy_components

PIPELINES = {"txt2img": StableDiffusionPipeline, "img2img": StableDiffusionImg2ImgPipeline, "inpaint": StableDiffusionInpaintPipeline}
OFFERED = [name for name, spec in SCHEDULERS.items() if spec.cls and "diffusion" in spec.kinds]
OTHERS = {  # classes that the studio runs with its own samplers instead, or only from extensions
    "euler_class": SchedulerSpec("Euler", cls="EulerDiscreteScheduler"),
    "euler_karras": SchedulerSpec(
        "Euler", cls="EulerDiscreteScheduler", config={"use_karras_sigmas": True, "timestep_spacing": "linspace"}
    ),
    "euler_a_class": SchedulerSpec("Euler a", cls="EulerAncestralDiscreteScheduler"),
    "heun_class": SchedulerSpec("Heun", cls="HeunDiscreteScheduler"),
    "lcm_class": SchedulerSpec("LCM", cls="LCMScheduler"),
    "lms_class": SchedulerSpec("LMS", cls="LMSDiscreteScheduler"),
    "dpm2_class": SchedulerSpec("DPM2", cls="KDPM2DiscreteScheduler"),
    "dpm2_a_class": SchedulerSpec("DPM2 a", cls="KDPM2AncestralDiscreteScheduler"),
    "dpmpp_2m_class": SchedulerSpec("DPM++ 2M", cls="DPMSolverMultistepScheduler"),
    "dpmpp_2m_sde_class": SchedulerSpec("DPM++ 2M SDE", cls="DPMSolverMultistepScheduler", config={"algorithm_type": "sde-dpmsolver++"}),
}
ALL = dict(SCHEDULERS) | OTHERS
MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return toy_components(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def blobs() -> Blobs:
    return Blobs()


def picture(size: tuple[int, int] = (64, 64), seed: int = 3) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def mask(size: tuple[int, int] = (64, 64)) -> Image.Image:
    painted = Image.new("L", size)
    painted.paste(255, (size[0] // 4, size[1] // 4, size[0] * 3 // 4 + 3, size[1]))
    return painted


def inputs(task: str, blobs: Blobs, size: tuple[int, int] = (64, 64)) -> dict[str, str]:
    given = {}
    if task != "txt2img":
        given["image"] = blobs.add(picture(size))
    if task == "inpaint":
        given["mask_image"] = blobs.add(mask(size))
    return given


def ours(parts: dict[str, Any], blobs: Blobs, asked: Request) -> torch.Tensor:
    engine = Engine(Shelf(toy=components(parts)), ALL, {}, blobs.__getitem__, previews=False)
    return latents(run(engine, asked))[0]


def theirs(parts: dict[str, Any], asked: Request, size: tuple[int, int] = (64, 64)) -> torch.Tensor:
    """The same request through diffusers' pipeline, told as its documentation says."""
    scheduler = build_scheduler(ALL[asked.scheduler], parts["scheduler"].config, asked.schedule)
    pipeline = PIPELINES[asked.task](**parts | {"scheduler": scheduler})
    pipeline.set_progress_bar_config(disable=True)
    given: dict[str, Any] = {}
    if asked.task != "txt2img":
        given |= {"image": picture(size), "strength": asked.strength}
    if asked.task == "img2img" and size != (asked.width, asked.height):
        given["image"] = given["image"].resize((asked.width, asked.height), Image.Resampling.LANCZOS)
    if asked.task == "inpaint":
        given["mask_image"] = mask(size)
    if "width" in inspect.signature(pipeline.__call__).parameters:
        given |= {"width": asked.width, "height": asked.height}
    return pipeline(
        prompt=asked.prompt,
        negative_prompt=asked.negative_prompt,
        num_inference_steps=asked.num_inference_steps,
        guidance_scale=asked.guidance_scale,
        generator=torch.Generator().manual_seed(asked.seed),
        output_type="latent",
        **given,
    ).images


STARTS = [("txt2img", None), ("img2img", 0.6), ("img2img", 1.0), ("inpaint", 0.6), ("inpaint", 1.0)]
CASES = [(name, *start) for name in OFFERED for start in STARTS]
CASES += [(name, *start) for name in OTHERS for start in (("txt2img", None), ("img2img", 0.6), ("inpaint", 0.6))]


@pytest.mark.parametrize(("scheduler", "task", "strength"), CASES)
def test_latents_are_diffusers_to_the_bit(parts: dict[str, Any], blobs: Blobs, scheduler: str, task: str, strength: float | None) -> None:
    given = {} if strength is None else {"strength": strength}
    asked = request(task, scheduler=scheduler, num_inference_steps=5, negative_prompt="dog", **given, **inputs(task, blobs))
    assert torch.equal(ours(parts, blobs, asked), theirs(parts, asked))


@pytest.mark.parametrize("task", PIPELINES)
@pytest.mark.parametrize("guidance_scale", [0.0, 1.0, 7.5])
def test_without_guidance_the_prompt_is_predicted_alone(parts: dict[str, Any], blobs: Blobs, task: str, guidance_scale: float) -> None:
    asked = request(task, scheduler="pndm", guidance_scale=guidance_scale, **inputs(task, blobs))
    assert torch.equal(ours(parts, blobs, asked), theirs(parts, asked))


@pytest.mark.parametrize("task", PIPELINES)
@pytest.mark.parametrize("scheduler", ["ddim", "unipc", "lcm_class"])
def test_models_that_predict_velocity(tmp_path: Path, blobs: Blobs, task: str, scheduler: str) -> None:
    parts = toy_components(tmp_path, prediction_type="v_prediction")
    asked = request(task, scheduler=scheduler, **inputs(task, blobs))
    assert torch.equal(ours(parts, blobs, asked), theirs(parts, asked))


@pytest.mark.parametrize("schedule", SCHEDULERS["unipc"].schedules)
def test_chosen_schedules(parts: dict[str, Any], blobs: Blobs, schedule: str) -> None:
    asked = request(scheduler="unipc", schedule=schedule)
    assert torch.equal(ours(parts, blobs, asked), theirs(parts, asked))


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_a_picture_of_another_size_is_resized_by_lanczos(parts: dict[str, Any], blobs: Blobs, task: str) -> None:
    size = (120, 88)
    asked = request(task, scheduler="ddim", width=72, height=64, strength=0.7, **inputs(task, blobs, size))
    assert torch.equal(ours(parts, blobs, asked), theirs(parts, asked, size))


@pytest.mark.parametrize("strength", [0.6, 1.0])
@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
def test_inpainting_checkpoints_get_mask_and_masked_picture_as_channels(
    tmp_path: Path, blobs: Blobs, strength: float, guidance_scale: float
) -> None:
    parts = toy_components(tmp_path, in_channels=9)
    given = inputs("inpaint", blobs)
    asked = request("inpaint", scheduler="euler_a_class", strength=strength, guidance_scale=guidance_scale, **given)
    assert torch.equal(ours(parts, blobs, asked), theirs(parts, asked))


@pytest.fixture(scope="module")
def built_in() -> PipelineManager:
    catalog = Catalog([MODELS])
    if all(info.name != BUILT_IN or info.broken for info in catalog.checkpoints()):
        pytest.skip("the built-in checkpoint is not in models/")
    return PipelineManager(catalog)


@pytest.mark.slow
@pytest.mark.parametrize("task", PIPELINES)
@pytest.mark.parametrize("scheduler", ["ddim", "unipc"])
def test_the_built_in_checkpoint(built_in: PipelineManager, blobs: Blobs, task: str, scheduler: str) -> None:
    asked = request(task, checkpoint=BUILT_IN, scheduler=scheduler, prompt="a red apple", **inputs(task, blobs))
    engine = Engine(built_in, ALL, {}, blobs.__getitem__)
    made = latents(run(engine, asked))[0]
    with built_in.acquire(BUILT_IN) as loaded:
        scheduler_class = DDIMScheduler.from_config(dict(loaded.scheduler_config))
        parts = {
            "vae": loaded.vae,
            "text_encoder": loaded.text_encoder,
            "tokenizer": CLIPTokenizer.from_pretrained(str(MODELS / "checkpoints" / BUILT_IN / "tokenizer")),
            "unet": loaded.denoiser,
            "scheduler": scheduler_class,
            "safety_checker": None,
            "feature_extractor": None,
            "requires_safety_checker": False,
        }
        assert torch.equal(made, theirs(parts, asked))
