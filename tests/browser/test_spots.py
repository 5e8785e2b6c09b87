"""Several spots of one mask, repainted one after another by one job: drawn in the page, compared with the picture that comes back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from scipy import ndimage

from tests.browser.desk import Desk


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").resize((128, 128)).convert("RGB").save(path)
    return path


def dab(desk: Desk, across: float, down: float) -> None:
    """A short stroke so far from the middle of the canvas, in shares of the picture."""
    box = desk.page.locator(".sl-painter-stage:visible").bounding_box()
    assert box
    side = 0.9 * min(box["width"], box["height"])
    x, y = box["x"] + box["width"] / 2 + across * side, box["y"] + box["height"] / 2 + down * side
    desk.page.mouse.move(x, y)
    desk.page.mouse.down()
    desk.page.mouse.move(x + 12, y + 6, steps=3)
    desk.page.mouse.up()


def run(desk: Desk) -> dict[str, Any]:
    done = desk.program.finished(desk.generate())
    assert done["state"] == "finished", done["error"]
    desk.shows(done)
    desk.page.get_by_role("button", name="Canvas", exact=True).click()
    return done


@pytest.mark.parametrize("area", ["Whole picture", "Only masked"])
def test_both_spots_change_in_their_turn_and_nothing_else_does(desk: Desk, photo: Path, area: str) -> None:
    desk.tab("inpaint")
    desk.choose_picture("inpaint", photo)
    dab(desk, -0.3, -0.3)
    dab(desk, 0.3, 0.25)
    together = run(desk)
    desk.unfold("repaint", "inpaint")
    desk.pick("Area", area)
    desk.page.get_by_role("checkbox", name="Spots one by one").check()
    done = run(desk)
    assert done["request"]["separately"] is True
    assert done["total"] == 2 * together["total"], "one round for each spot"
    mask = np.asarray(desk.program.upload(done["request"]["mask_image"]))
    spots, count = ndimage.label(mask)
    assert count == 2
    before = np.asarray(Image.open(photo)).astype(int)
    changed = np.abs(np.asarray(desk.program.picture(done["images"][0]).convert("RGB")).astype(int) - before).max(2)
    for spot in (1, 2):
        assert (changed[spots == spot] > 0).mean() > 0.5
    assert changed[mask == 0].max() == 0, "what is not masked came back bit for bit"
    expect(desk.page.get_by_role("alert")).to_have_count(0)
