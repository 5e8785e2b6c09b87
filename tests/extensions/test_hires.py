"""Hires fix: its arithmetic, its stages, and the same latents as diffusers' pipelines one after the other."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from pydantic import ValidationError

from extensions.builtin.hires import Hires, HiresParams
from pipelines.errors import InvalidRequest, UnknownName
from pipelines.names import AUTOMATIC
from pipelines.plan import Decode, Denoise, EncodePrompt, Enlarge, Stages, plan
from pipelines.upscalers import upscale_latents
from tests.pipelines.engines import Shelf, engine, latents, request, run, toy
from tests.toys import toy_components

SIZES: list[tuple[dict[str, Any], tuple[int, int], tuple[int, int]]] = [
    ({}, (512, 512), (1024, 1024)),
    ({"scale": 1.5}, (512, 768), (768, 1152)),
    ({"scale": 1.1}, (520, 512), (576, 560)),
    ({"scale": 1}, (64, 64), (64, 64)),
    ({"width": 1024}, (512, 768), (1024, 1536)),
    ({"height": 1000}, (512, 768), (664, 1000)),
    ({"width": 1024, "height": 800}, (512, 512), (1024, 800)),
]


def stages(folder: Path, params: HiresParams, **fields: Any) -> Stages:
    components, asked = toy(folder), request(**fields)
    return Hires().replan(plan(asked, components), asked, params, components)


@pytest.mark.parametrize(("fields", "size", "expected"), SIZES)
def test_sizes(fields: dict[str, Any], size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert HiresParams(**fields).size(*size) == expected


@pytest.mark.parametrize(
    ("fields", "size", "why"),
    [
        ({"scale": 4}, (2048, 512), "hires would make 2048 × 512 into 8192 × 2048; at most 4096"),
        ({"width": 4096}, (512, 768), "into 4096 × 6144; at most 4096"),
        ({"width": 256}, (512, 512), "hires would make 512 × 512 smaller: 256 × 256"),
        ({"width": 1024, "height": 256}, (512, 512), "smaller: 1024 × 256"),
    ],
)
def test_sizes_that_do_not_go(fields: dict[str, Any], size: tuple[int, int], why: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        HiresParams(**fields).size(*size)
    assert why in str(caught.value) and caught.value.field == "modifiers"


def test_steps_are_counted_as_diffusers_counts_them() -> None:
    assert HiresParams(strength=0.5).steps(20) == (20, 10)
    assert HiresParams(strength=0.7, num_inference_steps=10).steps(20) == (10, 7)
    assert HiresParams(strength=1).steps(3) == (3, 3)
    with pytest.raises(InvalidRequest, match=r"strength 0\.1 of 4 steps leaves no step to run; at least 0\.25 does"):
        HiresParams(strength=0.1).steps(4)


@pytest.mark.parametrize(
    "fields",
    [
        {"scale": 0.5},
        {"scale": 5},
        {"strength": 0},
        {"width": 100},
        {"width": 8192},
        {"num_inference_steps": 151},
        {"strength": float("nan")},
    ],
)
def test_what_breaks_a_rule_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HiresParams(**fields)


def test_the_second_pass_is_as_the_first_but_for_what_is_said(tmp_path: Path) -> None:
    told, first, retold, enlarge, second, last = stages(tmp_path, HiresParams(upscaler="latent", strength=0.5), num_inference_steps=4)
    assert isinstance(told, EncodePrompt) and isinstance(first, Denoise) and isinstance(last, Decode)
    assert enlarge == Enlarge("latent", 128, 128)
    assert second == replace(first, first=2, shape=(4, 16, 16), start="latents")
    assert retold == replace(told, width=128, height=128, steps=2, steps_before=4)


def test_all_that_can_be_said_of_the_second_pass(tmp_path: Path) -> None:
    params = HiresParams(
        width=96,
        height=64,
        strength=0.5,
        num_inference_steps=10,
        scheduler="dpmpp_2m",
        schedule="karras",
        guidance_scale=1,
        prompt="a dog",
        negative_prompt="a cat",
    )
    *_, retold, enlarge, second, _ = stages(tmp_path, params, scheduler="euler", schedule="beta")
    assert isinstance(retold, EncodePrompt) and isinstance(second, Denoise)
    assert (retold.prompts, retold.negative_prompts, retold.guided) == (("a dog",), ("a cat",), False)
    assert enlarge == Enlarge(params.upscaler, 96, 64) and second.shape == (4, 8, 12)
    assert (second.scheduler, second.schedule, second.guidance_scale) == ("dpmpp_2m", "karras", 1)
    assert (second.steps, second.first, second.last) == (10, 5, 10)


def test_another_scheduler_does_not_inherit_the_schedule(tmp_path: Path) -> None:
    for scheduler, expected in (("", "beta"), ("euler", "beta"), ("ddim", AUTOMATIC)):
        *_, second, _ = stages(tmp_path, HiresParams(scheduler=scheduler), scheduler="euler", schedule="beta")
        assert isinstance(second, Denoise) and second.schedule == expected


def test_a_masked_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="hires does not go with inpaint"):
        stages(tmp_path, HiresParams(), task="inpaint", image="0" * 64, mask_image="1" * 64)


def test_an_unknown_upscaler_is_told_of_before_anything_is_made(tmp_path: Path) -> None:
    catalog: Any = SimpleNamespace(roots=(tmp_path,))
    with pytest.raises(UnknownName, match="no upscaler named 'x4'"):
        Hires().modify(toy(tmp_path), HiresParams(upscaler="x4"), catalog)
    with Hires().modify(toy(tmp_path), HiresParams(), catalog):
        pass


def test_it_is_two_pipelines_of_diffusers_one_after_the_other(tmp_path: Path) -> None:
    parts = toy_components(tmp_path)
    scheduler = DDIMScheduler.from_config(parts["scheduler"].config, clip_sample=False)
    text = {"prompt": "a cat", "num_inference_steps": 4, "guidance_scale": 5.0, "generator": torch.Generator().manual_seed(7)}
    first = StableDiffusionPipeline(**parts | {"scheduler": scheduler})(**text, width=64, height=64, output_type="latent").images
    larger = upscale_latents(first, (16, 16), "latent")
    second = StableDiffusionImg2ImgPipeline(**parts | {"scheduler": scheduler})
    theirs = second(**text, image=larger, strength=0.5, output_type="latent").images

    modifiers = {"hires": {"upscaler": "latent", "strength": 0.5}}
    asked = request(scheduler="ddim", modifiers=modifiers)
    ours = latents(run(engine(Shelf(toy=toy(tmp_path)), modifiers={"hires": Hires()}), asked))[0]
    assert ours.shape == (1, 4, 16, 16) and torch.allclose(ours, theirs, atol=1e-5)


def test_by_way_of_a_picture(tmp_path: Path) -> None:
    asked = request(modifiers={"hires": {"upscaler": "lanczos", "width": 96, "height": 64}})
    made = latents(run(engine(Shelf(toy=toy(tmp_path)), modifiers={"hires": Hires()}), asked))[0]
    assert made.shape == (1, 4, 8, 12) and made.isfinite().all()
