"""Where no GPU can draw the noise, the job says who did, and its recipe repeats the picture on any machine."""

from pathlib import Path

import pytest
import torch

from pipelines import recipe
from pipelines.events import Decoded, Notice
from pipelines.noise import source_on
from tests.pipelines.engines import Shelf, engine, latents, of, request, run, toy


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(toy=toy(Path(tmp_path_factory.mktemp("noise"))))


def test_a_gpu_that_is_not_there_is_told_and_the_recipe_names_who_drew(shelf: Shelf) -> None:
    events = run(engine(shelf), request(noise_source="gpu", scheduler="euler_a", exact=True))
    assert [notice.message for notice in of(events, Notice)] == [
        "noise_source 'gpu' needs an NVIDIA GPU, and there is none here: the CPU draws the noise, and recipes say so."
    ]
    found = recipe.from_picture(of(events, Decoded)[0].data)
    assert found.recipe is not None
    made = found.recipe.request
    assert made["noise_source"] == "cpu" and "RNG: GPU" not in str(found)
    again = run(engine(shelf), type(request()).model_validate(made))
    assert torch.equal(latents(again)[0], latents(events)[0]) and not of(again, Notice)


def test_who_draws() -> None:
    assert [source_on("gpu", device) for device in ("cpu", "mps", "cuda", "cuda:1")] == ["cpu", "cpu", "gpu", "gpu"]
    assert {source_on(source, "cpu") for source in ("nv",)} == {"nv"}
