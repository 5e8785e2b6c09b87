"""What an artist does in a row: paint, extend, remove, go on from the result; what was not asked for stays to the last bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.desk import Desk

SIZE = 128


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3), np.uint8)).save(path)
    return path


def easel(desk: Desk, photo: Path) -> None:
    desk.tab("inpaint")
    desk.choose_picture("inpaint", photo)
    expect(desk.page.locator(".sl-painter-stage")).to_be_visible()


def press(desk: Desk, name: str) -> None:
    desk.page.locator(".sl-painter").get_by_role("button", name=name, exact=True).click()


def drag(desk: Desk, *points: tuple[float, float]) -> None:
    """Points as shares of the stage's shorter side, from its middle."""
    box = desk.page.locator(".sl-painter-stage").bounding_box()
    assert box is not None
    side = min(box["width"], box["height"])
    places = [(box["x"] + box["width"] / 2 + x * side, box["y"] + box["height"] / 2 + y * side) for x, y in points]
    desk.page.mouse.move(*places[0])
    desk.page.mouse.down()
    for place in places[1:]:
        desk.page.mouse.move(*place, steps=6)
    desk.page.mouse.up()


def made(desk: Desk, id: str) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray]:
    """The job, its picture, the picture it started from, and its mask."""
    job = desk.program.finished(id)
    assert job["state"] == "finished", job["error"]
    sent = desk.program.upload(job["request"]["image"])
    mask = np.asarray(desk.program.upload(job["request"]["mask_image"]).convert("L"))
    return job, np.asarray(desk.program.picture(job["images"][0]).convert("RGB")), np.asarray(sent.convert("RGB")), mask


def kept(after: np.ndarray, before: np.ndarray, mask: np.ndarray) -> None:
    assert after.shape == before.shape and 0 < (mask == 0).sum() < mask.size
    difference = np.abs(after.astype(int) - before.astype(int)).max(axis=2)
    assert difference[mask == 0].max() == 0
    assert (difference[mask == 255] > 0).mean() > 0.5


def posted(desk: Desk, button: str) -> str:
    with desk.page.expect_response(lambda answer: answer.url.endswith("/api/v1/jobs") and answer.request.method == "POST") as answer:
        desk.page.get_by_role("button", name=button).click()
    return answer.value.json()["id"]


def test_a_sketch_finished_by_only_masked(desk: Desk, photo: Path) -> None:
    easel(desk, photo)
    press(desk, "Sketch")
    press(desk, "Lasso (L)")
    desk.page.get_by_role("button", name="Colour #b23a1c").click()
    drag(desk, (-0.1, 0.1), (0, -0.15), (0.1, 0.1), (-0.1, 0.1))
    press(desk, "Mask")
    press(desk, "Rectangle (R)")
    drag(desk, (-0.15, -0.2), (0.15, 0.15))
    desk.unfold("repaint", "inpaint")
    desk.pick("Area", "Only masked")
    desk.set("padding", 8, "inpaint")
    desk.set("strength", 0.5, "inpaint")
    job, after, before, mask = made(desk, desk.generate())
    assert job["request"]["inpaint_area"] == "masked" and job["request"]["padding"] == 8
    assert (before == (0xB2, 0x3A, 0x1C)).all(axis=2).sum() > 50, "the sketch is part of what was sent"
    kept(after, before, mask)


def test_removing_leaves_the_controls_as_they_are(desk: Desk, photo: Path) -> None:
    easel(desk, photo)
    desk.prompt.fill("two rabbits")
    remove = desk.page.get_by_role("button", name="Remove what is marked")
    expect(remove).to_be_hidden()
    press(desk, "Rectangle (R)")
    drag(desk, (0, -0.2), (0.3, 0.2))
    expect(remove).to_be_visible()
    job, after, before, mask = made(desk, posted(desk, "Remove what is marked"))
    assert (job["request"]["prompt"], job["request"]["masked_content"], job["request"]["strength"]) == ("", "fill", 0.2)
    kept(after, before, mask)
    expect(desk.prompt).to_have_value("two rabbits")
    expect(desk.number("strength", "inpaint")).to_have_value("1")
    desk.shows(job)
    desk.page.get_by_role("button", name="To inpaint").click()
    expect(desk.page.get_by_text(f"seed {job['request']['seed']}")).to_be_visible()
    expect(desk.prompt).to_have_value("two rabbits")
    expect(remove).to_be_hidden()


def test_a_picture_extended_by_the_frame_and_then_by_a_field(desk: Desk, photo: Path) -> None:
    easel(desk, photo)
    press(desk, "Frame (F)")
    right = desk.page.get_by_label("Right", exact=True)
    right.fill("64")
    right.press("Tab")
    expect(desk.number("width", "inpaint")).to_have_value("192")
    expect(desk.number("height", "inpaint")).to_have_value("128")
    job, after, before, mask = made(desk, posted(desk, "Fill from around"))
    assert (job["request"]["width"], job["request"]["height"]) == (192, 128)
    assert not mask[:, : SIZE - 4].any() and mask[:, SIZE - 4 :].all()
    kept(after, before, mask)
    desk.shows(job)
    desk.page.get_by_role("button", name="To inpaint").click()
    expect(desk.number("width", "inpaint")).to_have_value("192")
    desk.unfold("repaint", "inpaint")
    desk.set("outpaint_top", 64, "inpaint")
    expect(desk.number("height", "inpaint")).to_have_value("192")
    desk.pick("Area", "Only masked")
    expect(desk.number("width", "inpaint")).to_have_value("128")
    expect(desk.number("height", "inpaint")).to_have_value("128")


def test_an_upload_that_is_lost_is_sent_again(desk: Desk, photo: Path, problems: list[str]) -> None:
    easel(desk, photo)
    press(desk, "Rectangle (R)")
    drag(desk, (-0.1, -0.1), (0.1, 0.1))
    first = desk.program.finished(desk.generate())["request"]
    desk.page.get_by_role("button", name="Canvas", exact=True).click()
    for id in (first["image"], first["mask_image"]):
        (desk.program.outputs / ".safelight" / "blobs" / id[:2] / id).unlink()
    job, after, before, mask = made(desk, desk.generate())
    assert (job["request"]["image"], job["request"]["mask_image"]) == (first["image"], first["mask_image"])
    kept(after, before, mask)
    problems[:] = [each for each in problems if "404" not in each]
