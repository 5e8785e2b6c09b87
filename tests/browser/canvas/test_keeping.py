"""What lies on the canvas is there again after a reload; and what was sent is not sent again."""

import numpy as np
import pytest
from PIL import Image

from tests.browser.canvas.driver import Canvas, encoded, picture


@pytest.fixture
def layers() -> str:
    return "?keep&layers=picture,sketch,mask,control"


@pytest.fixture(autouse=True)
def nothing_kept(canvas: Canvas) -> None:
    canvas.page.evaluate("new Promise((done) => (indexedDB.deleteDatabase('safelight').onsuccess = done))")


def reload(canvas: Canvas) -> None:
    canvas.page.reload()
    canvas.page.wait_for_function("window.canvas")
    canvas.call("canvas.restored")
    canvas.settle()


def state(canvas: Canvas) -> list[np.ndarray]:
    exports = ("canvas.exportPicture()", "canvas.exportMask()", "canvas.exportLayer('control')")
    return [np.asarray(canvas.exported(each)) for each in exports]


def test_layers_frame_and_tools_survive_a_reload(canvas: Canvas) -> None:
    canvas.show(encoded(Image.fromarray(np.random.default_rng(2).integers(0, 256, (150, 200, 3), np.uint8))))
    canvas.size(24)
    canvas.stroke((50, 50), (100, 50))
    canvas.layer("Control")
    canvas.press("Colour #ffffff")
    canvas.stroke((50, 120), (150, 120))
    canvas.layer("Sketch")
    canvas.colour("#123456")
    canvas.set("Hardness", 30)
    canvas.stroke((120, 40), (170, 100))
    canvas.call("canvas.setFrame({left: 48, top: -10})")
    canvas.call("canvas.setOverlap(11)")
    before = state(canvas)
    canvas.call("canvas.keeper.write()")
    reload(canvas)
    for kept, was in zip(state(canvas), before, strict=True):
        assert np.array_equal(kept, was)
    assert canvas.call("[canvas.active, canvas.tool.size, canvas.tool.colour, canvas.tool.softness, canvas.stage.sheet.overlap]") == [
        "sketch", 24, "#123456", 0.7, 11,
    ]  # fmt: skip
    assert canvas.call("canvas.pictureId()") == "known"
    assert canvas.page.get_by_role("button", name="Undo").is_disabled()


def test_it_is_written_without_being_told(canvas: Canvas) -> None:
    canvas.show(picture(100, 100))
    canvas.stroke((50, 50))
    canvas.page.evaluate("async () => { while (!(await canvas.keeper.shelf.read('state'))) await new Promise(requestAnimationFrame); }")
    mask = canvas.mask()
    reload(canvas)
    assert np.array_equal(canvas.mask(), mask)


def test_what_is_taken_out_is_forgotten(canvas: Canvas) -> None:
    canvas.show(picture(100, 100))
    canvas.stroke((50, 50))
    canvas.call("canvas.keeper.write()")
    canvas.call("canvas.clearPicture()")
    canvas.call("canvas.keeper.write()")
    reload(canvas)
    assert canvas.call("[canvas.hasPicture(), canvas.hasMask()]") == [False, False]


def test_layers_of_another_picture_are_not_put_on_this_one(canvas: Canvas) -> None:
    canvas.show(picture(100, 100))
    canvas.stroke((50, 50))
    canvas.call("canvas.keeper.write()")
    canvas.show(picture(100, 100, "#a33"))
    # As if the page had died after the new picture was written and before the old mask was taken out.
    canvas.call("canvas.keeper.shelf.write('picture', {stamp: canvas.stage.sheet.stamp, blob: canvas.pictureBlob()})")
    canvas.call("clearTimeout(canvas.keeper.planned)")
    canvas.page.evaluate("canvas.keeper.planned = 0")
    reload(canvas)
    assert canvas.call("[canvas.hasPicture(), canvas.hasMask()]") == [True, False]


def test_nothing_is_sent_twice(canvas: Canvas) -> None:
    file = picture(120, 90)
    canvas.call("canvas.takePicture(blob)", file)
    assert canvas.call("canvas.sendPicture()") == f"id-of-{len(file)}"
    assert canvas.call("sent.length") == 1, "a picture that was not touched is its own file"
    canvas.layer("Sketch")
    canvas.stroke((50, 50))
    first = canvas.call("canvas.sendPicture()")
    assert first != f"id-of-{len(file)}" and canvas.call("canvas.sendPicture()") == first
    assert canvas.call("sent.length") == 2
    canvas.press("Undo")
    assert canvas.call("canvas.sendPicture()") == f"id-of-{len(file)}"
    canvas.press("Redo")
    assert canvas.call("canvas.sendPicture()") == first
    assert canvas.call("sent.length") == 2, "the same pixels again"
    canvas.layer("Mask")
    canvas.stroke((20, 20))
    mask = canvas.call("canvas.sendMask()")
    canvas.stroke((60, 60))
    assert canvas.call("canvas.sendMask().then(() => sent.length)") == 4
    canvas.press("Undo")
    assert canvas.call("canvas.sendMask()") == mask
    assert canvas.call("sent.length") == 4
