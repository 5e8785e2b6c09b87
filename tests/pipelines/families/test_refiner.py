"""A second checkpoint that takes over: equal to diffusers' ensemble of base and refiner, and to one run where both are the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline

from extensions.builtin.hires import Hires
from extensions.builtin.refiner import Refiner
from pipelines.components import Components
from pipelines.events import Failed, Started, Step
from pipelines.plan import Denoise, plan
from pipelines.request import Request
from pipelines.samplers import build_scheduler
from tests.pipelines import engines
from tests.pipelines.engines import Blobs, Engine, Shelf, latents, of, request, run
from tests.pipelines.families import toys_sdxl
from tests.pipelines.test_oracle import ALL, inputs
from tests.toys import toy_components

MODIFIERS = {"refiner": Refiner(), "hires": Hires()}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return toys_sdxl.arguments(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def refiner(base: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return toys_sdxl.arguments(tmp_path_factory.mktemp("refiner"), seed=1, refiner=True) | {"vae": base["vae"]}


def events(shelf: dict[str, Components], asked: Request, blobs: Blobs | None = None) -> list[Any]:
    return run(Engine(Shelf(**shelf), ALL, MODIFIERS, (blobs or Blobs()).__getitem__, previews=False), asked)


def refined(asked: Request, checkpoint: str = "fine", **params: Any) -> Request:
    return asked.model_copy(update={"modifiers": {**asked.modifiers, "refiner": {"checkpoint": checkpoint, **params}}})


@pytest.mark.parametrize(("switch_at", "steps"), [(0.8, 10), (0.5, 5)])
def test_equal_to_diffusers_base_and_refiner(base: dict[str, Any], refiner: dict[str, Any], switch_at: float, steps: int) -> None:
    asked = request(scheduler="euler_class", negative_prompt="dog", num_inference_steps=steps)
    shelf = {"toy": toys_sdxl.components(base), "fine": toys_sdxl.components(refiner, "fine")}
    made = latents(events(shelf, refined(asked, switch_at=switch_at)))[0]

    def scheduler() -> Any:
        return build_scheduler(ALL["euler_class"], base["scheduler"].config)

    first = StableDiffusionXLPipeline(**base | {"scheduler": scheduler(), "add_watermarker": False})
    second = StableDiffusionXLImg2ImgPipeline(
        **refiner | {"scheduler": scheduler(), "add_watermarker": False, "requires_aesthetics_score": True}
    )
    told = {"prompt": asked.prompt, "negative_prompt": "dog", "num_inference_steps": steps, "guidance_scale": asked.guidance_scale}
    half = first(
        **told, width=64, height=64, denoising_end=switch_at, output_type="latent", generator=torch.Generator().manual_seed(7)
    ).images
    assert torch.equal(made, second(**told, image=half, denoising_start=switch_at, output_type="latent").images)


@pytest.mark.parametrize("scheduler", ["euler_class", "euler", "euler_a", "ddim"])
def test_the_same_model_twice_is_one_run(base: dict[str, Any], scheduler: str) -> None:
    asked = request(scheduler=scheduler, num_inference_steps=8, prompt="[a cat:an owl:0.5]", negative_prompt="dog")
    shelf = {"toy": toys_sdxl.components(base), "fine": toys_sdxl.components(base, "fine")}
    whole, split = events(shelf, asked), events(shelf, refined(asked, switch_at=0.6))
    assert torch.equal(latents(split)[0], latents(whole)[0])
    assert of(split, Started)[0].total == 8 and of(split, Step)[-1].step == 8


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_a_picture_goes_on_too(base: dict[str, Any], task: str) -> None:
    blobs = Blobs()
    asked = request(task, scheduler="euler", strength=0.8, num_inference_steps=8, **inputs(task, blobs))
    shelf = {"toy": toys_sdxl.components(base), "fine": toys_sdxl.components(base, "fine")}
    assert torch.equal(latents(events(shelf, refined(asked), blobs))[0], latents(events(shelf, asked, blobs))[0])


def test_where_no_step_is_left_the_other_does_it_all(base: dict[str, Any]) -> None:
    blobs = Blobs()
    asked = request("img2img", scheduler="euler", strength=0.25, num_inference_steps=8, **inputs("img2img", blobs))
    shelf = {"toy": toys_sdxl.components(base), "fine": toys_sdxl.components(base, "fine")}
    for switch_at in (0.1, 0.999):
        split = events(shelf, refined(asked, switch_at=switch_at), blobs)
        assert torch.equal(latents(split)[0], latents(events(shelf, asked, blobs))[0])


def test_other_latents_are_a_sentence(base: dict[str, Any], tmp_path: Path) -> None:
    shelf = {"toy": toys_sdxl.components(base), "fine": engines.components(toy_components(tmp_path), "fine")}
    failed = of(events(shelf, refined(request(scheduler="euler"))), Failed)[0]
    assert "'fine' (Stable Diffusion 1) cannot go on from latents of 'toy' (Stable Diffusion XL)" in failed.message


def test_it_takes_the_last_pass_and_leaves_out_nothing(base: dict[str, Any]) -> None:
    components = toys_sdxl.components(base)
    asked = request(num_inference_steps=8)
    stages = plan(asked, components)
    params = Refiner.Params(checkpoint="fine")
    assert Refiner().replan(stages, asked, Refiner.Params(), components) == stages
    assert Refiner().replan(stages, asked, Refiner.Params(checkpoint="toy"), components) == stages
    larger = Hires().replan(stages, asked, Hires.Params(), components)
    passes = [stage for stage in Refiner().replan(larger, asked, params, components) if isinstance(stage, Denoise)]
    assert [(stage.model, stage.start, stage.shape[1]) for stage in passes] == [
        ("", "noise", 8),
        ("", "latents", 16),
        ("fine", "continued", 16),
    ]
