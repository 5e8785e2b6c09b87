"""The engine with modifiers in force and on the real manager: what is shared, what is swapped, and what is left behind."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from pydantic import BaseModel

from pipelines.catalog import Catalog
from pipelines.components import Components
from pipelines.events import Cancelled, Decoded, Failed, Finished, Loading, Step
from pipelines.manager import PipelineManager
from pipelines.modifiers import Modifier
from pipelines.recipe import from_picture
from tests.pipelines.engines import LAST, Shelf, engine, latents, of, request, run, toy
from tests.toys import save_toy, toy_components


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(toy=toy(tmp_path_factory.mktemp("toy")))


class Brighter(Modifier):
    """Adds to what the denoiser says, and counts how often it is in force."""

    name = "brighter"
    title = "Brighter"

    class Params(BaseModel):
        by: float = 1.0

    def __init__(self) -> None:
        self.inside = 0

    @contextmanager
    def modify(self, components: Components, params: "Brighter.Params", catalog: Any) -> Iterator[None]:
        bias = components.denoiser.conv_out.bias
        before = bias.clone()
        self.inside += 1
        try:
            with torch.no_grad():
                bias += params.by
            yield
        finally:
            with torch.no_grad():
                bias.copy_(before)
            self.inside -= 1


@pytest.mark.parametrize("end", ["finished", "cancelled", "failed", "paused"])
def test_a_modifier_is_in_force_for_its_jobs_only_and_leaves_no_trace(shelf: Shelf, end: str) -> None:
    plain = latents(run(engine(shelf), request()))[0]
    brighter = Brighter()
    studio = engine(shelf, modifiers={"brighter": brighter})

    def react(event: object) -> None:
        if isinstance(event, Step) and event.job == "0" and event.step == 2:
            assert brighter.inside == 1
            {"cancelled": studio.cancel, "paused": studio.pause}.get(end, lambda job: None)(event.job)
        if isinstance(event, Step) and event.job == "1":
            assert brighter.inside == 0
        if isinstance(event, LAST) and event.job == "1" and end == "paused":
            studio.resume("0")

    refused = {"scheduler": "lcm", "num_inference_steps": 60}  # more than this class can do: found only when it starts
    modified = request(modifiers={"brighter": {"by": 0.5}}, **refused if end == "failed" else {"num_inference_steps": 20})
    events = run(studio, modified, request(), react=react)
    assert brighter.inside == 0
    assert len(of(events, {"failed": Failed, "cancelled": Cancelled}.get(end, Finished), "0")) == 1
    assert torch.equal(latents([event for event in events if getattr(event, "job", "") == "1"], "1")[0], plain)
    assert torch.equal(latents(run(studio, request()))[0], plain)


def test_jobs_with_the_same_modifier_share_it(shelf: Shelf) -> None:
    brighter = Brighter()
    asked = request(modifiers={"brighter": {"by": 0.5}})
    together = run(engine(shelf, modifiers={"brighter": brighter}), asked, asked.model_copy(update={"seed": 9}))
    assert len(of(together, Finished)) == 2 and brighter.inside == 0
    assert not torch.equal(latents(together)[0], latents(run(engine(shelf), request()))[0])


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> PipelineManager:
    root = tmp_path_factory.mktemp("models")
    save_toy(root / "checkpoints" / "one")
    save_toy(root / "checkpoints" / "two", seed=1)
    StableDiffusionPipeline(**toy_components(root / ".tokenizer", seed=2)).vae.save_pretrained(root / "vae" / "other")
    return PipelineManager(Catalog([root]))


def test_jobs_of_different_checkpoints_and_vaes_on_the_real_manager(manager: PipelineManager) -> None:
    jobs = [request(checkpoint="one"), request(checkpoint="two"), request(checkpoint="one", vae="other")]
    events = run(engine(manager), *jobs)
    assert not of(events, Failed)
    told = [event.what for event in of(events, Loading)]
    assert told[0] == "one" and set(told) <= {"one", "two"}  # the second may have been read ahead, and then is not told of
    assert [event.job for event in of(events, Finished)] == ["0", "2", "1"]  # the third shared the first one's passes
    assert (latents(events, "0")[0] - latents(events, "2")[0]).abs().max() < 1e-3
    pngs = [of(events, Decoded, str(index))[0].data for index in range(3)]
    assert from_picture(pngs[0]).recipe.hashes["unet"] == from_picture(pngs[2]).recipe.hashes["unet"]
    assert from_picture(pngs[0]).recipe.hashes["vae"] != from_picture(pngs[2]).recipe.hashes["vae"]
    assert from_picture(pngs[2]).draft["vae"] == "other"
    pixels = [np.asarray(Image.open(io.BytesIO(png))) for png in pngs]
    assert not np.array_equal(pixels[0], pixels[2])
    assert of(run(engine(manager), jobs[0]), Loading) == []


def test_an_unknown_checkpoint_is_named(manager: PipelineManager) -> None:
    (failed,) = of(run(engine(manager), request(checkpoint="nope")), Failed)
    assert failed.message.startswith("There is no checkpoint named 'nope'; known: one, two")
