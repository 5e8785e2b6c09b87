"""Lasso, rectangle, fill, and what is done to a whole mask: the exported mask, pixel by pixel."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.browser.canvas.driver import Canvas, Fingers, disc, encoded, extent, picture


@pytest.fixture
def layers() -> str:
    return "?layers=picture,sketch,mask"


def test_a_rectangle_is_masked_and_taken_away(canvas: Canvas) -> None:
    canvas.show(picture(300, 200))
    canvas.press("Rectangle (R)")
    canvas.stroke((20.2, 30.2), (120.2, 90.2))
    wanted = np.zeros((200, 300), np.uint8)
    wanted[30:90, 20:120] = 255
    assert np.array_equal(canvas.mask(), wanted)
    canvas.press("Take away")
    canvas.stroke((150, 100), (60, 60))
    wanted[60:100, 60:150] = 0
    assert np.array_equal(canvas.mask(), wanted)
    canvas.press("Take away")
    canvas.page.keyboard.down("Alt")
    canvas.stroke((0, 0), (300, 40))
    canvas.page.keyboard.up("Alt")
    wanted[:40] = 0
    assert np.array_equal(canvas.mask(), wanted)


def test_a_lasso_masks_what_it_encloses(canvas: Canvas) -> None:
    canvas.show(picture(300, 300))
    canvas.stage.focus()
    canvas.page.keyboard.press("l")
    corners = [(50, 50), (250, 50), (250, 250)]
    canvas.stroke(*corners, steps=4)
    y, x = np.mgrid[:300, :300] + 0.5
    inside = (x >= 50) & (x < 250) & (y >= 50) & (y < 250) & (x > y)
    mask = canvas.mask() > 0
    near = (np.abs(x - y) < 3) | (np.abs(x - 250) < 2) | (np.abs(y - 50) < 2)
    assert np.array_equal(mask[~near], inside[~near])
    mouse = canvas.page.mouse
    before = canvas.mask()
    mouse.move(*canvas.at(20, 20))
    mouse.down()
    mouse.move(*canvas.at(100, 280), steps=5)
    canvas.page.keyboard.press("Escape")
    mouse.move(*canvas.at(280, 100), steps=5)
    mouse.up()
    assert np.array_equal(canvas.mask(), before)


def test_a_fill_goes_by_the_colour_of_picture_and_sketch(canvas: Canvas) -> None:
    pixels = np.full((100, 100, 3), 40, np.uint8)
    pixels[:, 50:] = 60
    pixels[10:20, 10:20] = 60
    canvas.show(encoded(Image.fromarray(pixels)))
    canvas.press("Fill (G)")
    canvas.set("Tolerance", 10)
    canvas.stroke((75, 75))
    wanted = np.zeros((100, 100), np.uint8)
    wanted[:, 50:] = 255
    assert np.array_equal(canvas.mask(), wanted), "what touches and is alike"
    canvas.press("Undo")
    canvas.press("Everywhere")
    canvas.stroke((75, 75))
    wanted[10:20, 10:20] = 255
    assert np.array_equal(canvas.mask(), wanted), "all that is alike"
    canvas.press("Undo")
    canvas.press("Everywhere")
    canvas.set("Tolerance", 30)
    canvas.stroke((75, 75))
    assert canvas.mask().all()
    canvas.press("Undo")
    canvas.layer("Sketch")
    canvas.colour("#ff0000")
    canvas.set("Tolerance", 0)
    canvas.stroke((15, 15))
    made = canvas.composed()
    assert (made[10:20, 10:20, :3] == [255, 0, 0]).all() and np.array_equal(made[30:, :, :3], pixels[30:])


def test_a_fill_on_the_mask_closes_a_hole(canvas: Canvas) -> None:
    canvas.show(picture(200, 200))
    canvas.size(10)
    canvas.stroke((50, 50), (150, 50), (150, 150), (50, 150), (50, 50))
    canvas.press("Fill (G)")
    canvas.stroke((100, 100))
    mask = canvas.mask()
    assert extent(mask) == (45, 45, 155, 155) and mask[60:140, 60:140].all()
    canvas.stroke((10, 10))
    assert canvas.mask().all(), "outside there is only the picture's colour to go by"


def test_a_mask_from_a_colour(canvas: Canvas) -> None:
    pixels = np.random.default_rng(3).choice([10, 90, 200], (64, 64)).astype(np.uint8)
    canvas.show(encoded(Image.fromarray(pixels).convert("RGB")))
    canvas.press("More for the mask")
    canvas.press("Mask from a colour")
    x, y = (int(v[0]) for v in np.nonzero(pixels.T == 90))
    canvas.stroke((x + 0.5, y + 0.5))
    assert np.array_equal(canvas.mask(), (pixels == 90).astype(np.uint8) * 255)


def test_a_mask_grows_shrinks_and_feathers(canvas: Canvas) -> None:
    canvas.show(picture(200, 160))
    canvas.size(1)
    canvas.stroke((60.5, 80.5))
    canvas.press("More for the mask")
    canvas.set("Distance, px", 12)
    canvas.press("Grow")
    y, x = np.mgrid[:160, :200]
    assert np.array_equal(canvas.mask() > 0, np.hypot(x - 60, y - 80) <= 12)
    canvas.set("Distance, px", 11)
    canvas.press("Shrink")
    assert (canvas.mask() > 0).sum() in (1, 5)
    canvas.press("Undo")
    before = canvas.mask()
    canvas.press("More for the mask")
    canvas.set("Distance, px", 6)
    canvas.press("Feather")
    soft = canvas.mask(binary=False)
    ideal = np.asarray(Image.fromarray(before).filter(ImageFilter.GaussianBlur(6)))
    assert np.abs(soft.astype(int) - ideal).max() <= 6
    assert soft[80, 60] > 200 and 20 < soft[80, 72] < 150
    canvas.press("Undo")
    assert np.array_equal(canvas.mask(), before)


def test_a_mask_at_the_edge_keeps_to_the_edge(canvas: Canvas) -> None:
    canvas.show(picture(100, 100))
    canvas.press("Invert mask")
    canvas.press("More for the mask")
    canvas.press("Shrink")
    assert canvas.mask().all(), "the edge of the picture is no edge of the mask"


def test_one_finger_draws_a_rectangle_too(phone: Canvas) -> None:
    phone.show(picture(200, 200))
    phone.press("Rectangle (R)")
    fingers = Fingers(phone.page)
    fingers.send("touchStart", phone.at(40, 40))
    fingers.send("touchMove", phone.at(100, 80))
    fingers.send("touchMove", phone.at(120, 90))
    fingers.send("touchEnd")
    left, top, right, bottom = extent(phone.mask())
    assert abs(left - 40) <= 1 and abs(top - 40) <= 1 and abs(right - 120) <= 1 and abs(bottom - 90) <= 1
    assert phone.mask()[top:bottom, left:right].all()


def test_what_a_brush_leaves_can_be_painted_by_keyboard_fill(canvas: Canvas) -> None:
    canvas.show(picture(100, 100))
    canvas.press("Fill (G)")
    canvas.stage.focus()
    canvas.page.keyboard.press("Enter")
    assert np.array_equal(canvas.mask(), disc((100, 100), (50, 50, 50, 50, 200)))
