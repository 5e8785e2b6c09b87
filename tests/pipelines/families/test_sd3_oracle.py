"""Stable Diffusion 3 as diffusers' pipelines make it: same components, same seed, the same final latents to the last bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusion3Img2ImgPipeline, StableDiffusion3InpaintPipeline, StableDiffusion3Pipeline

from pipelines.components import Components
from pipelines.names import SCHEDULERS, SchedulerSpec
from pipelines.request import Request
from pipelines.samplers import build_scheduler
from tests.pipelines.engines import Blobs, Engine, Shelf, latents, request, run
from tests.pipelines.families.sd3_toys import components, toy_parts
from tests.pipelines.test_oracle import inputs, mask, picture

PIPELINES = {"txt2img": StableDiffusion3Pipeline, "img2img": StableDiffusion3Img2ImgPipeline, "inpaint": StableDiffusion3InpaintPipeline}
CLASSES = {
    "flow_euler": SchedulerSpec("Euler", cls="FlowMatchEulerDiscreteScheduler", kinds=("flow",)),
    "flow_heun": SchedulerSpec("Heun", cls="FlowMatchHeunDiscreteScheduler", kinds=("flow",)),
}
ALL = dict(SCHEDULERS) | CLASSES


class Toy:
    """A toy checkpoint both ways."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.parts = toy_parts(folder, **given)
        self.components: Components = components(self.parts, folder)

    def ours(self, asked: Request, blobs: Blobs) -> torch.Tensor:
        return latents(run(Engine(Shelf(toy=self.components), ALL, {}, blobs.__getitem__, previews=False), asked))[0]

    def theirs(self, asked: Request, scheduler: str, **more: Any) -> torch.Tensor:
        fresh = build_scheduler(CLASSES[scheduler], self.components.scheduler_config)
        pipeline = PIPELINES[asked.task](**self.parts | {"scheduler": fresh})
        pipeline.set_progress_bar_config(disable=True)
        given: dict[str, Any] = {"width": asked.width, "height": asked.height}
        if asked.task != "txt2img":
            given |= {"image": picture((asked.width, asked.height)), "strength": asked.strength}
        if asked.task == "inpaint":
            given["mask_image"] = mask((asked.width, asked.height))
        return pipeline(
            prompt=asked.prompt,
            prompt_2=asked.prompt_2 or None,
            negative_prompt=asked.negative_prompt,
            num_inference_steps=asked.num_inference_steps,
            guidance_scale=asked.guidance_scale,
            generator=torch.Generator().manual_seed(asked.seed),
            output_type="latent",
            **given | more,
        ).images


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy(tmp_path_factory.mktemp("sd3"))


@pytest.fixture(scope="module")
def blobs() -> Blobs:
    return Blobs()


STARTS = [("txt2img", None), ("img2img", 0.6), ("img2img", 1.0), ("inpaint", 0.6), ("inpaint", 1.0)]


def asked_for(task: str, strength: float | None, blobs: Blobs, **fields: Any) -> Request:
    given = {} if strength is None else {"strength": strength}
    fields = {"num_inference_steps": 5, "negative_prompt": "dog", "scheduler": "flow_euler"} | fields
    size = (fields.get("width", 64), fields.get("height", 64))
    return request(task, **fields, **given, **inputs(task, blobs, size))


@pytest.mark.parametrize(("task", "strength"), STARTS)
@pytest.mark.parametrize("guidance_scale", [1.0, 4.5])
def test_latents_are_diffusers_to_the_bit(toy: Toy, blobs: Blobs, task: str, strength: float | None, guidance_scale: float) -> None:
    asked = asked_for(task, strength, blobs, guidance_scale=guidance_scale, width=96, height=64)
    assert torch.equal(toy.ours(asked, blobs), toy.theirs(asked, "flow_euler"))


@pytest.mark.parametrize("with_t5", [True, False])
@pytest.mark.parametrize(
    "kind", [{"qk_norm": "rms_norm"}, {"qk_norm": "rms_norm", "dual_attention_layers": (0, 1)}], ids=["large", "medium"]
)
def test_version_3_5_with_and_without_t5(tmp_path: Path, blobs: Blobs, with_t5: bool, kind: dict[str, Any]) -> None:
    toy = Toy(tmp_path, with_t5=with_t5, **kind)
    asked = asked_for("txt2img", None, blobs)
    assert torch.equal(toy.ours(asked, blobs), toy.theirs(asked, "flow_euler"))


@pytest.mark.parametrize(("task", "strength"), [("txt2img", None), ("img2img", 0.6)])
def test_another_class_of_scheduler(toy: Toy, blobs: Blobs, task: str, strength: float | None) -> None:
    asked = asked_for(task, strength, blobs, scheduler="flow_heun")
    assert torch.equal(toy.ours(asked, blobs), toy.theirs(asked, "flow_heun"))


@pytest.mark.parametrize(("task", "strength"), [("txt2img", None), ("img2img", 0.6)])
def test_our_own_euler_is_diffusers_to_rounding(toy: Toy, blobs: Blobs, task: str, strength: float | None) -> None:
    asked = asked_for(task, strength, blobs, scheduler="euler", num_inference_steps=20)
    torch.testing.assert_close(toy.ours(asked, blobs), toy.theirs(asked, "flow_euler"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_inpainting_checkpoints_get_mask_and_masked_picture_as_channels(tmp_path: Path, blobs: Blobs, strength: float) -> None:
    toy = Toy(tmp_path, in_channels=33, with_t5=False)
    asked = asked_for("inpaint", strength, blobs)
    assert torch.equal(toy.ours(asked, blobs), toy.theirs(asked, "flow_euler"))
