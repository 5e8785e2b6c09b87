"""Sketching beyond the picture, where the frame reaches out: the paper grows with the stroke, and undo takes it back."""

import numpy as np
import pytest
from PIL import Image

from tests.browser.canvas.driver import Canvas, encoded

RED = (255, 0, 0)


@pytest.fixture
def layers() -> str:
    return "?layers=picture,sketch,mask&keep"


@pytest.fixture
def framed(canvas: Canvas) -> np.ndarray:
    """The pixels of a picture that is to be extended to the left and the right; the hand holds a red brush."""
    pixels = np.random.default_rng(1).integers(0, 256, (80, 120, 3), np.uint8)
    canvas.show(encoded(Image.fromarray(pixels)))
    canvas.call("canvas.setFrame({left: 32, right: 64})")
    canvas.layer("Sketch")
    canvas.colour("#ff0000")
    canvas.size(10)
    return pixels


def test_a_stroke_that_begins_beyond_the_picture(canvas: Canvas, framed: np.ndarray) -> None:
    mask = np.asarray(canvas.exported("canvas.exportMask()"))
    before = canvas.at(0, 0)
    canvas.stroke((-20, 40), (10, 40))
    canvas.page.wait_for_function("canvas.pictureSize().width === 216 && !canvas.stage.sheet.sketch.isEmpty()")
    canvas.page.wait_for_function("canvas.stage.sheet.history.done.length === 3")
    canvas.settle()
    assert canvas.at(32, 0) == before, "nothing has moved on the screen"
    made = canvas.composed()
    assert made.shape == (80, 216, 4)
    assert tuple(made[40, 12]) == tuple(made[40, 36]) == (*RED, 255)
    assert made[:, :32, 3].any(axis=0).sum() > 20, "opaque under the stroke"
    assert (made[:, 152:, 3] == 0).all(), "and transparent elsewhere"
    assert np.array_equal(made[:30, 32:152, :3], framed[:30]) and np.array_equal(made[50:, 32:152, :3], framed[50:])
    assert np.array_equal(np.asarray(canvas.exported("canvas.exportMask()")), mask), "what is made anew is the same"
    canvas.page.wait_for_function("changes.some((each) => each.reason === 'upload' && each.pictureId !== 'known')")
    canvas.press("Undo")
    assert (canvas.composed()[:, :32, 3] == 0).all()
    canvas.press("Undo")
    assert canvas.call("canvas.pictureSize()") == {"width": 120, "height": 80}
    assert canvas.call("canvas.pictureId()") == "known"
    assert canvas.call("canvas.frame()") == {"left": 32, "top": 0, "right": 64, "bottom": 0}
    canvas.press("Redo")
    canvas.press("Redo")
    assert np.array_equal(canvas.composed(), made)


def test_a_stroke_that_begins_on_the_picture_stays_there(canvas: Canvas, framed: np.ndarray) -> None:
    canvas.stroke((60, 40), (60, 20))
    assert canvas.call("canvas.pictureSize()") == {"width": 120, "height": 80}
    canvas.stroke((150, 40), (160, 50))
    canvas.page.wait_for_function("canvas.stage.sheet.history.done.length === 4")
    made = canvas.composed()
    assert tuple(made[40, 32 + 60]) == tuple(made[40, 32 + 150]) == (*RED, 255)


def test_it_is_there_after_a_reload(canvas: Canvas, framed: np.ndarray) -> None:
    canvas.stroke((150, 40), (160, 50))
    canvas.page.wait_for_function("canvas.stage.sheet.history.done.length === 3")
    made = canvas.composed()
    canvas.page.evaluate("canvas.keeper.write()")
    canvas.page.reload()
    canvas.page.wait_for_function("window.canvas && canvas.pictureSize()?.width === 216")
    canvas.page.evaluate("canvas.restored")
    assert np.array_equal(canvas.composed(), made)
    canvas.call("canvas.clearPicture()")
    canvas.page.evaluate("canvas.keeper.write()")
