"""Stable Diffusion 3 through the engine: batches, previews, pictures, and what it cannot do said in a sentence."""

import io
from typing import Any

import pytest
import torch
from diffusers import StableDiffusion3Pipeline
from PIL import Image

from pipelines.components import Components
from pipelines.decode import decode
from pipelines.events import Failed, Finished, Step
from tests.pipelines.engines import Blobs, Shelf, engine, latents, of, request, run
from tests.pipelines.families.sd3_toys import components, toy_parts
from tests.pipelines.test_oracle import inputs


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sd3")
    return {**toy_parts(folder), "folder": folder}


@pytest.fixture(scope="module")
def toy(parts: dict[str, Any]) -> Components:
    return components(parts, parts["folder"])


@pytest.mark.parametrize("scheduler", ["dpmpp_2m", "euler_a", "er_sde"])
def test_samplers_of_both_spaces_give_a_picture(toy: Components, scheduler: str) -> None:
    made = latents(run(engine(Shelf(toy=toy), previews=False), request(scheduler=scheduler)))[0]
    assert torch.isfinite(made).all() and made.shape == (1, 16, 8, 8) and 0.1 < made.std() < 10


@pytest.mark.parametrize("scheduler", ["ddim", "unipc", "restart"])
def test_the_others_are_refused_in_a_sentence(toy: Components, scheduler: str) -> None:
    (failed,) = of(run(engine(Shelf(toy=toy)), request(scheduler=scheduler)), Failed)
    assert "cannot do flow checkpoints; take another, such as 'euler'." in failed.message


@pytest.mark.parametrize("task", ["txt2img", "img2img", "inpaint"])
def test_a_batch_is_its_pictures(toy: Components, task: str) -> None:
    blobs = Blobs()
    given = {"scheduler": "euler", "negative_prompt": "dog", **inputs(task, blobs)}
    batch = latents(run(engine(Shelf(toy=toy), blobs, previews=False), request(task, num_images_per_prompt=3, seed=5, **given)))
    for index in range(3):
        single = latents(run(engine(Shelf(toy=toy), blobs, previews=False), request(task, seed=5 + index, **given)))[0]
        torch.testing.assert_close(batch[index], single, rtol=1e-4, atol=1e-5)


def test_previews_and_the_picture(toy: Components, parts: dict[str, Any]) -> None:
    events = run(engine(Shelf(toy=toy)), request(scheduler="euler", width=96, height=64))
    frames = [Image.open(io.BytesIO(event.frame)) for event in of(events, Step) if event.frame]
    assert frames and {frame.size for frame in frames} == {(96, 64)}
    assert of(events, Finished)


@pytest.mark.parametrize(("width", "height"), [(72, 64), (64, 72)])
def test_sizes_are_multiples_of_two_patches(toy: Components, width: int, height: int) -> None:
    (failed,) = of(run(engine(Shelf(toy=toy)), request(width=width, height=height)), Failed)
    assert f"width and height must be multiples of 16 for checkpoint 'toy'; got {width}×{height}." in failed.message


def test_the_picture_is_decoded_as_diffusers_does(toy: Components, parts: dict[str, Any]) -> None:
    made = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    pipeline = StableDiffusion3Pipeline(**{name: part for name, part in parts.items() if name != "folder"})
    scaling = parts["vae"].config
    with torch.no_grad():
        pixels = parts["vae"].decode(made / scaling.scaling_factor + scaling.shift_factor).sample
        assert decode(made, toy).tobytes() == pipeline.image_processor.postprocess(pixels)[0].tobytes()
