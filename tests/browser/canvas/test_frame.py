"""The frame: pictures that reach beyond themselves, and the mask that goes with them."""

import numpy as np
import pytest
from PIL import Image

from tests.browser.canvas.driver import Canvas, Fingers, disc, encoded, picture


@pytest.fixture
def layers() -> str:
    return "?layers=picture,sketch,mask"


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def exported(canvas: Canvas) -> tuple[np.ndarray, np.ndarray]:
    return canvas.composed(), np.asarray(canvas.exported("canvas.exportMask()"))


def test_a_frame_in_numbers_extends_picture_and_mask(canvas: Canvas) -> None:
    pixels = noise(120, 80)
    canvas.show(encoded(Image.fromarray(pixels)))
    canvas.size(20)
    canvas.stroke((60, 40))
    canvas.press("Frame (F)")
    for side, value in (("Left", 32), ("Top", 16), ("Right", 40), ("Bottom", -20), ("Overlap", 6)):
        canvas.set(side, value)
    assert canvas.call("canvas.frame()") == {"left": 32, "top": 16, "right": 40, "bottom": -20}
    made, mask = exported(canvas)
    assert made.shape == (76, 192, 4) and mask.shape == (76, 192)
    assert np.array_equal(made[16:, 32:152, :3], pixels[:60]) and (made[16:, 32:152, 3] == 255).all()
    outside = np.ones((76, 192), bool)
    outside[16:, 32:152] = False
    assert (made[outside] == 0).all(), "transparent where there is no picture yet"
    wanted = np.full((76, 192), 255, np.uint8)
    wanted[16 + 6 :, 32 + 6 : 152 - 6] = disc((80, 120), (60, 40, 60, 40, 10))[6:60, 6:-6]
    assert np.array_equal(mask, wanted)
    assert canvas.call("canvas.hasMask()") is True


def test_a_frame_alone_is_something_to_make(canvas: Canvas) -> None:
    canvas.show(picture(100, 100))
    assert canvas.call("canvas.hasMask()") is False
    canvas.call("canvas.setFrame({left: -20, right: -20})")
    assert canvas.call("canvas.hasMask()") is False, "cutting adds nothing"
    canvas.call("canvas.setFrame({left: 24})")
    assert canvas.call("canvas.hasMask()") is True
    canvas.press("Undo")
    canvas.press("Undo")
    assert canvas.call("canvas.frame()") == {"left": 0, "top": 0, "right": 0, "bottom": 0}


def test_handles_drag_the_frame_in_steps_that_models_like(canvas: Canvas) -> None:
    canvas.show(picture(300, 300))
    canvas.press("Frame (F)")
    canvas.settle()
    drag(canvas, (300, 150), (371, 150))
    assert canvas.call("canvas.frame()") == {"left": 0, "top": 0, "right": 68, "bottom": 0}
    drag(canvas, (0, 0), (-65, -31))
    frame = canvas.call("canvas.frame()")
    assert frame["left"] > 56 and frame["top"] > 24
    assert canvas.call("canvas.frameSize().width % 8 + canvas.frameSize().height % 8") == 0
    canvas.press("Undo")
    assert canvas.call("canvas.frame()") == {"left": 0, "top": 0, "right": 68, "bottom": 0}
    left = canvas.page.get_by_label("Right", exact=True)
    assert left.input_value() == "68"
    canvas.press("Reset")
    assert canvas.call("canvas.frame().right") == 0 and not canvas.mask().any()


def drag(canvas: Canvas, start: tuple[float, float], end: tuple[float, float]) -> None:
    mouse = canvas.page.mouse
    mouse.move(*canvas.at(*start))
    goal = canvas.at(*end)
    mouse.down()
    mouse.move(*goal, steps=6)
    mouse.up()
    canvas.settle()


def test_a_frame_has_limits(canvas: Canvas) -> None:
    canvas.show(picture(100, 60))
    canvas.call("canvas.setFrame({left: -5000, top: 90000})")
    frame = canvas.call("canvas.frame()")
    assert frame["left"] == -92 and frame["top"] + 60 == 8192
    canvas.call("canvas.setFrame({left: 0, top: 0})")
    canvas.press("Frame (F)")
    canvas.set("Left", 13)
    assert canvas.call("canvas.frameSize()") == {"width": 113, "height": 60}, "numbers are taken as they are"


def test_painting_goes_on_while_the_picture_is_framed(canvas: Canvas) -> None:
    canvas.show(picture(200, 200, "#000000"))
    canvas.call("canvas.setFrame({left: 56, bottom: 56})")
    canvas.settle()
    canvas.layer("Sketch")
    canvas.colour("#ffffff")
    canvas.size(20)
    canvas.stroke((50, 60))
    made, mask = exported(canvas)
    assert np.array_equal(made[:200, 56:, 0], disc((200, 200), (50, 60, 50, 60, 10)))
    assert mask.shape == (256, 256) and mask[:, :56].all() and mask[200:].all()


def test_a_finger_drags_a_handle(phone: Canvas) -> None:
    phone.show(picture(200, 200))
    phone.press("Frame (F)")
    phone.settle()
    fingers = Fingers(phone.page)
    fingers.send("touchStart", phone.at(200, 100))
    fingers.send("touchMove", phone.at(230, 100))
    fingers.send("touchMove", phone.at(240, 100))
    fingers.send("touchEnd")
    assert phone.call("canvas.frame().right") == 40
