"""Editing checkpoints (InstructPix2Pix) against diffusers' pipelines: the picture in channels, and three rows of guidance."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionInstructPix2PixPipeline, StableDiffusionXLInstructPix2PixPipeline
from safetensors.torch import load_file, save_file

from pipelines.errors import InvalidRequest
from pipelines.families import FAMILIES, reading
from pipelines.plan import plan
from pipelines.request import Request
from pipelines.samplers import build_scheduler
from tests import toys
from tests.pipelines import engines, ldm_files
from tests.pipelines.engines import Blobs, Engine, Shelf, latents, request, run
from tests.pipelines.families import toys_sdxl
from tests.pipelines.test_oracle import ALL, inputs, picture


@pytest.fixture(params=["sd1", "sdxl"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, Any], Any, Any]:
    """(arguments of the pipeline, the pipeline, the same as the engine gets it)."""
    if request.param == "sd1":
        parts = toys.toy_components(tmp_path, in_channels=8)
        return parts, StableDiffusionInstructPix2PixPipeline, engines.components(parts)
    parts = toys_sdxl.arguments(tmp_path, in_channels=8)
    return parts | {"add_watermarker": False}, StableDiffusionXLInstructPix2PixPipeline, toys_sdxl.components(parts)


def theirs(parts: dict[str, Any], cls: Any, asked: Request) -> torch.Tensor:
    pipeline = cls(**parts | {"scheduler": build_scheduler(ALL[asked.scheduler], parts["scheduler"].config)})
    pipeline.set_progress_bar_config(disable=True)
    xl = cls is StableDiffusionXLInstructPix2PixPipeline
    sizes = {"height": 64, "width": 64, "original_size": (64, 64), "target_size": (64, 64)} if xl else {}
    return pipeline(
        prompt=asked.prompt,
        image=picture(),
        negative_prompt=asked.negative_prompt or None,
        num_inference_steps=asked.num_inference_steps,
        guidance_scale=asked.guidance_scale,
        image_guidance_scale=asked.image_guidance_scale,
        generator=torch.Generator().manual_seed(asked.seed),
        output_type="latent",
        **sizes,
    ).images


@pytest.mark.parametrize(("guidance_scale", "image_guidance_scale"), [(5.0, 1.5), (5.0, 1.0), (1.0, 1.5)])
@pytest.mark.parametrize("scheduler", ["euler_a_class", "ddim"])
def test_latents_are_diffusers(model: Any, scheduler: str, guidance_scale: float, image_guidance_scale: float) -> None:
    parts, cls, components = model
    blobs = Blobs()
    given = {"guidance_scale": guidance_scale, "image_guidance_scale": image_guidance_scale, "negative_prompt": "dog"}
    asked = request("img2img", scheduler=scheduler, strength=0.3, **given, **inputs("img2img", blobs))
    made = latents(run(Engine(Shelf(toy=components), ALL, {}, blobs.__getitem__, previews=False), asked))[0]
    assert torch.equal(made, theirs(parts, cls, asked))


def test_editing_is_all_they_do(model: Any) -> None:
    _, _, components = model
    for task in ("txt2img", "inpaint"):
        with pytest.raises(InvalidRequest, match=r"'toy' is made for editing whole pictures \(img2img\) only"):
            plan(request(task, **inputs(task, Blobs())), components)


def test_folders_and_files_tell(tmp_path: Path) -> None:
    assert reading.checkpoint(toys.save_toy(tmp_path / "folder", in_channels=8), FAMILIES).tasks == ("img2img",)
    path = tmp_path / "model.safetensors"
    ldm_files.save(path)
    name = "model.diffusion_model.input_blocks.0.0.weight"
    tensors = load_file(path)
    save_file({**tensors, name: torch.cat([tensors[name]] * 2, dim=1)}, path)
    parted = reading.checkpoint(path, FAMILIES)
    assert (parted.family.name, parted.tasks, parted.parts["unet"].config["in_channels"]) == ("sd1", ("img2img",), 8)
