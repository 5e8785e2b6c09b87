"""Frames show the clean estimate early, cheaply, and never as a backlog."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines import preview
from pipelines.components import Components
from pipelines.decode import to_picture
from pipelines.events import Decoded, Failed, Step
from pipelines.preview import Budget, Previewer
from tests.pipelines.engines import Blobs, Shelf, engine, of, request, run, toy
from tests.toys import toy_tiny_decoder


@pytest.fixture(scope="module")
def components(tmp_path_factory: pytest.TempPathFactory) -> Components:
    return toy(tmp_path_factory.mktemp("toy"))


def opened(frame: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(frame))
    assert image.format == "JPEG"
    return image.convert("RGB")


def rich(steps: int = 10) -> Budget:
    budget = Budget(steps)
    budget.worked(1000.0, 1)
    return budget


def test_the_first_frame_comes_with_the_first_step(components: Components) -> None:
    steps = of(run(engine(Shelf(toy=components)), request(num_inference_steps=6)), Step)
    assert steps[0].frame is not None and opened(steps[0].frame).size == (64, 64)


def test_without_previews_there_are_no_frames(components: Components) -> None:
    assert {step.frame for step in of(run(engine(Shelf(toy=components), previews=False), request()), Step)} == {None}


def test_a_checkpoint_without_factors_or_decoder_has_no_frames_and_still_runs(components: Components) -> None:
    blind = replace(components, latent_rgb_factors=())
    events = run(engine(Shelf(toy=blind)), request())
    assert {step.frame for step in of(events, Step)} == {None} and len(of(events, Decoded)) == 1


def test_linear_frames_are_the_factors_applied(components: Components) -> None:
    factors = ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0), (0, 0, 0))
    flat = torch.tensor([1.0, -1.0, 0.0, 5.0]).view(1, 4, 1, 1).expand(1, 4, 8, 8)
    plain = replace(components, latent_rgb_factors=factors, latent_rgb_bias=(0.0, 0.0, 1.0))
    frame = Previewer().frame(Budget(10), {0: flat}, {}, 1, plain)
    assert frame is not None
    assert np.abs(np.asarray(opened(frame), dtype=int) - (255, 0, 255)).max() <= 3


def test_the_tiny_decoder_is_used_where_the_job_affords_it(components: Components) -> None:
    tiny = toy_tiny_decoder()
    seeing = components.with_modules(tiny_decoder=tiny)
    latents = {0: torch.randn(1, 4, 8, 8)}
    with torch.no_grad():
        expected = np.asarray(to_picture(tiny.decode(latents[0], return_dict=False)[0]), dtype=int)
        frame = Previewer().frame(rich(), latents, {}, 1, seeing)
        poor = Previewer().frame(Budget(10), latents, {}, 1, seeing)
    assert frame is not None and poor is not None
    assert np.abs(np.asarray(opened(frame), dtype=int) - expected).mean() < 12
    assert np.abs(np.asarray(opened(poor), dtype=int) - expected).mean() > 12


def test_a_frame_of_several_pictures_is_a_grid_that_keeps_its_places(components: Components) -> None:
    latents = {1: torch.zeros(1, 4, 8, 8), 3: torch.zeros(1, 4, 8, 8)}
    frame = Previewer().frame(rich(), latents, {0: Image.new("RGB", (64, 64), "white")}, 5, components)
    assert frame is not None
    image = opened(frame)
    assert image.size == (3 * 64, 2 * 64)
    brightness = np.asarray(image.convert("L"), dtype=int).reshape(2, 64, 3, 64).mean(axis=(1, 3)).ravel()
    assert brightness[0] > 250 and brightness[1] > 60 and brightness[3] > 60 and max(brightness[2], brightness[4], brightness[5]) < 5


def test_large_pictures_make_small_frames(components: Components) -> None:
    seeing = components.with_modules(tiny_decoder=toy_tiny_decoder())
    for chosen in (components, seeing):
        frame = Previewer().frame(rich(), {0: torch.zeros(1, 4, 96, 192)}, {}, 1, chosen)
        assert frame is not None and opened(frame).size == (512, 256)


def test_frames_after_the_first_wait_until_they_are_earned() -> None:
    budget = Budget(steps=100)
    assert budget.affords(5.0)
    budget.paid(0.01)
    budget.shown_at -= 1
    assert not budget.affords(0.01)
    budget.worked(0.02 / preview.SHARE, 1)
    assert budget.affords(0.01)
    budget.paid(0.01)
    assert not budget.affords(0.0)  # too soon to be seen


@pytest.mark.parametrize("cost", [0.0001, 0.004, 0.5])
def test_frames_take_no_more_than_their_share(cost: float) -> None:
    budget, frames = Budget(steps=200), 0
    for _ in range(200):
        budget.worked(0.02, 1)
        budget.shown_at -= 1  # long ago
        if budget.affords(cost):
            budget.paid(cost)
            frames += 1
    assert budget.spent <= max(cost, preview.SHARE * 200 * 0.02) + 1e-9  # the first one is given in any case
    affordable = min(200, max(1, round(preview.SHARE * 200 * 0.02 / cost)))
    assert abs(frames - affordable) <= 1


def test_a_decoder_that_fails_costs_its_frames_and_not_the_picture(components: Components) -> None:
    tiny = toy_tiny_decoder()
    tiny.decoder.register_forward_pre_hook(lambda module, args: (_ for _ in ()).throw(torch.OutOfMemoryError("out of memory")))
    previewer, latents = Previewer(), {0: torch.zeros(1, 4, 8, 8)}
    failing = components.with_modules(tiny_decoder=tiny)
    assert previewer.frame(rich(), latents, {}, 1, failing) is None
    assert previewer.frame(rich(), latents, {}, 1, failing) is not None  # by the linear factors
    assert previewer.frame(rich(), latents, {}, 1, replace(failing, latent_rgb_factors=())) is None


def test_unmasked_parts_are_shown_as_they_will_be(components: Components) -> None:
    blobs = Blobs()
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    noise = {"image": blobs.add(Image.linear_gradient("L").resize((64, 64)).convert("RGB")), "mask_image": blobs.add(mask)}
    factors = replace(components, latent_rgb_factors=((1.0, 1.0, 1.0),) * 4)
    events = run(engine(Shelf(toy=factors), blobs), request("inpaint", num_inference_steps=2, **noise))
    assert not of(events, Failed)
    frames = [np.asarray(opened(step.frame).convert("L"), dtype=int) for step in of(events, Step) if step.frame]
    again = of(run(engine(Shelf(toy=factors), blobs), request("inpaint", num_inference_steps=2, prompt="b", **noise)), Step)[0].frame
    assert again is not None
    other = np.asarray(opened(again).convert("L"), dtype=int)
    assert np.abs(frames[0] - other)[:, 48:].max() <= 2 and np.abs(frames[0] - other)[:, :20].max() > 2
