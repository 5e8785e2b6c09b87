"""Inpainting: a mask painted in the page, and nothing changed outside it."""

from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import expect

from tests.browser.desk import Desk

# Whether the browser keeps the painted mask yet: it does so a moment after the last stroke.
KEPT_MASK = """async () => {
    const db = await new Promise((done) => { const o = indexedDB.open("safelight"); o.onsuccess = () => done(o.result); });
    return new Promise((done) => {
        const got = db.transaction("blobs").objectStore("blobs").get("inpaint mask");
        got.onsuccess = () => { db.close(); done(Boolean(got.result)); };
    });
}"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.radial_gradient("L").resize((64, 64)).convert("RGB").save(path)
    return path


def paint(desk: Desk) -> None:
    """A stroke across the middle of the picture."""
    canvas = desk.page.locator(".sl-canvas canvas").first
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    desk.page.mouse.move(x - 40, y)
    desk.page.mouse.down()
    desk.page.mouse.move(x + 40, y, steps=6)
    desk.page.mouse.up()
    expect(desk.page.get_by_role("button", name="Undo")).to_be_enabled()


def test_only_what_is_painted_over_changes(desk: Desk, photo: Path) -> None:
    desk.tab("inpaint")
    desk.choose_picture("inpaint", photo)
    desk.prompt.fill("a hole")
    paint(desk)
    done = desk.program.finished(desk.generate())
    assert done["state"] == "finished", done["error"]
    desk.shows(done)
    made, before = desk.program.picture(done["images"][0]).convert("RGB"), Image.open(photo)
    mask = desk.program.upload(done["request"]["mask_image"])
    assert made.size == before.size == mask.size
    assert 0 < sum(mask.histogram()[1:]) < 64 * 64
    changed = ImageChops.difference(made, before)
    assert changed.getbbox() is not None
    outside = Image.composite(Image.new("RGB", mask.size), changed, mask.point(lambda level: 255 if level else 0))
    assert outside.getbbox() is None, "what is not masked came back bit for bit"


def test_without_a_mask_the_page_asks_for_one(desk: Desk, photo: Path) -> None:
    desk.tab("inpaint")
    desk.choose_picture("inpaint", photo)
    desk.go.click()
    expect(desk.page.get_by_text("Paint over the part of the picture that should change.")).to_be_visible()


def test_canvas_and_picture_take_turns_on_the_stage(desk: Desk, photo: Path) -> None:
    desk.tab("inpaint")
    expect(desk.page.locator(".sl-canvas")).to_be_visible()
    desk.choose_picture("inpaint", photo)
    paint(desk)
    done = desk.program.finished(desk.generate())
    desk.shows(done)
    expect(desk.page.locator(".sl-canvas")).to_be_hidden()
    desk.page.get_by_role("button", name="Canvas", exact=True).click()
    expect(desk.page.locator(".sl-canvas")).to_be_visible()
    expect(desk.made).to_be_hidden()


def test_picture_and_mask_survive_a_reload(desk: Desk, photo: Path) -> None:
    desk.tab("inpaint")
    desk.choose_picture("inpaint", photo)
    paint(desk)
    desk.program.until(lambda: desk.page.evaluate(KEPT_MASK))
    desk.reload()
    expect(desk.page.get_by_role("button", name="Clear mask")).to_be_enabled()
    done = desk.program.finished(desk.generate())
    assert done["state"] == "finished", done["error"]


def test_a_frame_that_reaches_out_is_painted_in(desk: Desk, photo: Path) -> None:
    desk.tab("inpaint")
    desk.choose_picture("inpaint", photo)
    desk.page.get_by_role("button", name="Frame (F)").click()
    desk.page.get_by_label("Right", exact=True).fill("32")
    desk.page.get_by_label("Overlap", exact=True).fill("8")
    desk.page.get_by_label("Overlap", exact=True).press("Tab")
    expect(desk.number("width", "inpaint")).to_have_value("160")
    expect(desk.number("height", "inpaint")).to_have_value("104")
    done = desk.program.finished(desk.generate())
    assert done["state"] == "finished", done["error"]
    sent, mask = desk.program.upload(done["request"]["image"]), desk.program.upload(done["request"]["mask_image"])
    assert sent.size == mask.size == (96, 64) and sent.mode == "RGBA"
    assert mask.point(lambda level: level).getbbox() == (56, 0, 96, 64)
    made = desk.program.picture(done["images"][0]).convert("RGB")
    assert made.size == (96, 64)
    kept = (0, 0, 56, 64)
    assert ImageChops.difference(made.crop(kept), Image.open(photo).crop(kept)).getbbox() is None


def test_a_sketch_is_part_of_what_is_painted_over(desk: Desk, photo: Path) -> None:
    desk.tab("inpaint")
    desk.choose_picture("inpaint", photo)
    paint(desk)
    desk.page.get_by_role("group", name="Layers").get_by_role("button", name="Sketch", exact=True).click()
    desk.page.get_by_role("button", name="Colour #3f7fa8").click()
    paint(desk)
    done = desk.program.finished(desk.generate())
    assert done["state"] == "finished", done["error"]
    sent = desk.program.upload(done["request"]["image"]).convert("RGB")
    assert sent.size == (64, 64) and sent.getpixel((32, 32)) == (0x3F, 0x7F, 0xA8)
