"""diffusers' ControlNet pipelines are the oracle: same components, same seed, the same final latents."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionXLControlNetImg2ImgPipeline,
    StableDiffusionXLControlNetInpaintPipeline,
    StableDiffusionXLControlNetPipeline,
)

from extensions.builtin.control import Control
from pipelines.control.shelf import ControlShelf
from pipelines.loading import load
from pipelines.request import Request
from pipelines.samplers import build_scheduler
from tests.pipelines.control.toy_nets import shelf, toy_net, toy_xl_net
from tests.pipelines.engines import Blobs, Engine, Shelf, components, latents, request, run
from tests.pipelines.families import toys_sdxl
from tests.pipelines.test_oracle import ALL, inputs, mask, picture
from tests.toys import toy_components

PIPELINES = {
    "txt2img": StableDiffusionControlNetPipeline,
    "img2img": StableDiffusionControlNetImg2ImgPipeline,
    "inpaint": StableDiffusionControlNetInpaintPipeline,
}
XL_PIPELINES = {
    "txt2img": StableDiffusionXLControlNetPipeline,
    "img2img": StableDiffusionXLControlNetImg2ImgPipeline,
    "inpaint": StableDiffusionXLControlNetInpaintPipeline,
}
CPU = torch.device("cpu")
DIFFUSERS = ("controlnet_conditioning_scale", "control_guidance_start", "control_guidance_end")
NETS = {"lines": toy_net(1), "depth": toy_net(2)}


class Kit:
    """A toy checkpoint with a shelf of ControlNets and the blobs of the test."""

    def __init__(self, folder: Path, parts: dict[str, Any], made: Any, nets: dict[str, ControlNetModel], pipelines: dict[str, Any]) -> None:
        self.parts, self.pipelines = parts, pipelines
        self.blobs = Blobs()
        self.manager = Shelf(toy=made)
        self.manager.catalog = SimpleNamespace(roots=(shelf(folder, **nets),))
        # mapped from the same files: products of few rows round by where their weights lie in memory
        self.nets = {info.name: load(info.part, info.name, CPU, torch.float32) for info in ControlShelf((folder,)).all() if info.part}

    def units(self, *units: dict[str, Any]) -> dict[str, Any]:
        """Each with a picture of its own."""
        given = [{"image": self.blobs.add(picture(seed=20 + place)), **unit} for place, unit in enumerate(units)]
        return {"control": {"units": given}}

    def ours(self, asked: Request) -> torch.Tensor:
        engine = Engine(self.manager, ALL, {"control": Control()}, self.blobs.__getitem__, previews=False)
        return latents(run(engine, asked))[0]

    def theirs(self, asked: Request, guess_mode: bool = False) -> torch.Tensor:
        units = asked.modifiers["control"]["units"]
        assert isinstance(units, list)
        nets = [self.nets[unit["model"]] for unit in units]
        defaults = {"controlnet_conditioning_scale": 1.0, "control_guidance_start": 0.0, "control_guidance_end": 1.0}
        told = {name: [unit.get(name, defaults[name]) for unit in units] for name in DIFFUSERS}
        maps: Any = [picture(seed=20 + place) for place in range(len(units))]
        if len(units) == 1:
            told, maps = {name: values[0] for name, values in told.items()}, maps[0]
        scheduler = build_scheduler(ALL[asked.scheduler], self.parts["scheduler"].config, asked.schedule)
        pipeline = self.pipelines[asked.task](**self.parts | {"scheduler": scheduler}, controlnet=nets if len(nets) > 1 else nets[0])
        pipeline.set_progress_bar_config(disable=True)
        given = {"image": maps} if asked.task == "txt2img" else {"image": picture(), "control_image": maps, "strength": asked.strength}
        if asked.task == "inpaint":
            given["mask_image"] = mask()
        return pipeline(
            prompt=asked.prompt, negative_prompt=asked.negative_prompt, num_inference_steps=asked.num_inference_steps,
            guidance_scale=asked.guidance_scale, generator=torch.Generator().manual_seed(asked.seed), output_type="latent",
            width=asked.width, height=asked.height, guess_mode=guess_mode, **told, **given,
        ).images  # fmt: skip


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    folder = tmp_path_factory.mktemp("sd1")
    parts = toy_components(folder / "toy")
    return Kit(folder, parts, components(parts), NETS, PIPELINES)


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    folder = tmp_path_factory.mktemp("sdxl")
    parts = toys_sdxl.arguments(folder / "toy")
    return Kit(folder, parts | {"add_watermarker": False}, toys_sdxl.components(parts), {"lines": toy_xl_net(3)}, XL_PIPELINES)


STARTS = [("txt2img", None), ("img2img", 0.6), ("inpaint", 0.6), ("inpaint", 1.0)]
WHOLE = {"model": "lines", "resize_mode": "stretch"}
WINDOWED = {**WHOLE, "controlnet_conditioning_scale": 0.7, "control_guidance_start": 0.2, "control_guidance_end": 0.8}
SECOND = {"model": "depth", "controlnet_conditioning_scale": 1.3, "control_guidance_end": 0.5}


def asked(kit: Kit, task: str, strength: float | None, *units: dict[str, Any], **fields: Any) -> Request:
    given = {} if strength is None else {"strength": strength}
    told = {"scheduler": "ddim", "negative_prompt": "dog", "num_inference_steps": 5, **given, **inputs(task, kit.blobs), **fields}
    return request(task, modifiers=kit.units(*units), **told)


@pytest.mark.parametrize(("task", "strength"), STARTS)
@pytest.mark.parametrize("units", [(WHOLE,), (WINDOWED,), (WHOLE, SECOND), (SECOND, WINDOWED, WHOLE)])
def test_latents_are_diffusers_to_the_bit(kit: Kit, task: str, strength: float | None, units: tuple[dict[str, Any], ...]) -> None:
    wanted = asked(kit, task, strength, *units)
    assert torch.equal(kit.ours(wanted), kit.theirs(wanted))


@pytest.mark.parametrize("scheduler", ["euler_class", "euler_a_class", "unipc", "pndm", "dpmpp_2m_class"])
@pytest.mark.parametrize("guidance_scale", [1.0, 7.5])
def test_other_schedulers_and_no_guidance(kit: Kit, scheduler: str, guidance_scale: float) -> None:
    unit = WHOLE if scheduler == "pndm" else WINDOWED  # diffusers counts pndm's first step twice
    wanted = asked(kit, "txt2img", None, unit, scheduler=scheduler, guidance_scale=guidance_scale)
    assert torch.equal(kit.ours(wanted), kit.theirs(wanted))


@pytest.mark.parametrize(("task", "strength"), STARTS)
def test_control_before_the_prompt_is_guess_mode(kit: Kit, task: str, strength: float | None) -> None:
    wanted = asked(kit, task, strength, {**WINDOWED, "control_mode": "control"})
    assert torch.equal(kit.ours(wanted), kit.theirs(wanted, guess_mode=True))
    other = asked(kit, task, strength, {**WINDOWED, "control_mode": "prompt"})
    assert not torch.allclose(kit.ours(other), kit.ours(wanted))


@pytest.mark.parametrize(("task", "strength"), STARTS)
def test_stable_diffusion_xl(xl: Kit, task: str, strength: float | None) -> None:
    wanted = asked(xl, task, strength, WINDOWED)
    assert torch.equal(xl.ours(wanted), xl.theirs(wanted))


def test_inpainting_checkpoints_have_more_channels_than_control(tmp_path: Path) -> None:
    parts = toy_components(tmp_path / "toy", in_channels=9)
    kit = Kit(tmp_path, parts, components(parts), NETS, PIPELINES)
    wanted = asked(kit, "inpaint", 0.6, WHOLE)
    assert torch.equal(kit.ours(wanted), kit.theirs(wanted))
