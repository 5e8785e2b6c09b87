"""Maps at every size that a job's passes have, and the parts of them that rounds make anew."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extensions.builtin.control import Control
from pipelines.control import ControlUnit, preprocessed
from pipelines.control.maps import Maps
from pipelines.denoise import Predict, Row, within
from pipelines.rounds import Round
from tests.pipelines.engines import Blobs, Shelf, engine, latents, request, run, toy
from tests.pipelines.test_oracle import picture

ROW = Row(0, 4, True)


@pytest.fixture
def blobs() -> Blobs:
    return Blobs()


def test_a_part_is_cut_from_the_map_of_the_whole(tmp_path: Path, blobs: Blobs) -> None:
    unit = ControlUnit(image=blobs.add(picture((128, 96))), preprocessor="soft_edges")
    maps = Maps(toy(tmp_path), blobs.__getitem__)
    part = Round((64, 32, 128, 96)).part_of((128, 96))
    whole = preprocessed(picture((128, 96)), "soft_edges", {}, (128, 96))
    assert np.array_equal(np.asarray(maps.picture(unit, (64, 64), part)), np.asarray(whole.crop((64, 32, 128, 96))))
    assert np.array_equal(np.asarray(maps.picture(unit, (128, 96), None)), np.asarray(whole))
    assert maps.picture(unit, (64, 64), (1 / 3, 0.0, 1.0, 1 / 3)).size == (64, 64)


def test_each_row_has_its_own_part(tmp_path: Path, blobs: Blobs) -> None:
    unit = ControlUnit(image=blobs.add(picture((128, 128))), preprocessor="none")
    maps = Maps(toy(tmp_path), blobs.__getitem__)
    left, right = (Row(0, 4, True, part=part) for part in ((0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 1.0, 0.5)))
    made = maps.pixels(unit, torch.zeros(3, 4, 8, 8), [left, right, left])
    assert made.shape == (3, 3, 64, 64) and torch.equal(made[0], made[2]) and not torch.equal(made[0], made[1])
    assert maps.latents(unit, torch.zeros(2, 4, 8, 8), [ROW, right]).shape == (2, 4, 8, 8)


def test_questions_within_a_round_say_their_part() -> None:
    def asking() -> Generator[Predict, Any, Any]:
        reply = yield Predict(torch.zeros(2, 4, 8, 8), torch.zeros(2), {}, rows=(ROW, ROW))
        return reply

    said = within(asking(), (0.0, 0.0, 0.5, 0.5))
    assert [row.part for row in next(said).rows] == [(0.0, 0.0, 0.5, 0.5)] * 2
    with pytest.raises(StopIteration, match="done"):
        said.send("done")
    assert Round().part_of((64, 64)) is None and Round((0, 0, 64, 64)).part_of((64, 64)) is None


def test_only_the_masked_part_is_steered_by_its_part(tmp_path: Path, blobs: Blobs) -> None:
    """A picture whose map is the same everywhere steers a part as it steers the whole, and one with another corner does not."""
    flat = picture((128, 128))
    changed = flat.copy()
    changed.paste((255, 255, 255), (0, 0, 32, 32))
    mask = picture((128, 128)).convert("L").point(lambda value: 0)
    mask.paste(255, (72, 72, 120, 120))

    def made(steering: str) -> torch.Tensor:
        units = {"control": {"units": [{"image": steering, "preprocessor": "blur"}]}}
        asked = request(
            "inpaint",
            image=blobs.add(flat),
            mask_image=blobs.add(mask),
            strength=0.8,
            inpaint_area="masked",
            modifiers=units,
            padding=0,
        )
        return latents(run(engine(Shelf(toy=toy(tmp_path)), blobs, {"control": Control()}, previews=False), asked))[0]

    assert torch.equal(made(blobs.add(flat)), made(blobs.add(changed)))
