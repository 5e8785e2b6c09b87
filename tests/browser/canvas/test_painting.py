"""Strokes, the eraser, zoom, pan and keys: what is painted is exactly what the mask has."""

import io

import numpy as np
from PIL import Image

from tests.browser.canvas.driver import Canvas, Fingers, disc, encoded, extent, picture


def test_a_straight_stroke_is_exactly_a_capsule(canvas: Canvas) -> None:
    canvas.show(picture(512, 384))
    assert not canvas.mask().any()
    canvas.size(40)
    canvas.stroke((100, 200), (300, 200))
    mask = canvas.mask()
    left, top, right, bottom = extent(mask)
    assert (top, bottom) == (180, 220)
    assert abs(left - 80) <= 1 and abs(right - 320) <= 1
    assert np.array_equal(mask, disc(mask.shape, (left + 20, 200, right - 20, 200, 20)))


def test_a_single_click_is_a_disc_and_a_slanted_stroke_has_no_gaps(canvas: Canvas) -> None:
    canvas.show(picture(512, 512))
    canvas.size(31)
    canvas.stroke((250.5, 140.5))
    mask = canvas.mask()
    left, top, right, bottom = extent(mask)
    assert (right - left, bottom - top) == (31, 31)
    assert np.array_equal(mask, disc(mask.shape, ((left + right) / 2, (top + bottom) / 2, (left + right) / 2, (top + bottom) / 2, 15.5)))
    canvas.press("Clear mask")
    canvas.size(1)
    canvas.stroke((100, 100), (400, 180), steps=3)
    thin = canvas.mask() > 0
    columns = thin[:, 105:395]
    assert columns.any(axis=0).all(), "a one pixel line must touch every column it crosses"
    assert columns.sum(axis=0).max() <= 3


def test_the_eraser_takes_away_what_the_brush_gave(canvas: Canvas) -> None:
    canvas.show(picture(512, 512))
    canvas.size(100)
    canvas.stroke((256, 256))
    canvas.press("Eraser")
    canvas.size(40)
    canvas.stroke((256, 256))
    mask = canvas.mask()
    assert mask[256, 256] == 0 and mask[256, 256 + 35] == 255
    assert mask.any()
    canvas.size(200)
    canvas.stroke((256, 256))
    assert not canvas.mask().any()


def test_strokes_may_begin_and_end_outside_the_picture(canvas: Canvas) -> None:
    canvas.show(picture(300, 700))
    canvas.size(20)
    box = canvas.stage.bounding_box()
    x, y = canvas.at(150, 350)
    canvas.page.mouse.move(box["x"] + 5, y)
    canvas.page.mouse.down()
    canvas.page.mouse.move(x, y, steps=10)
    canvas.page.mouse.up()
    mask = canvas.mask()
    assert mask[350, 0] == 255 and mask[350, 149] == 255 and mask[350, 200] == 0
    canvas.page.mouse.move(x, y)
    canvas.page.mouse.down()
    canvas.page.mouse.move(box["x"] + box["width"] + 100, y, steps=10)
    canvas.page.mouse.up()
    assert canvas.mask()[350].all(), "the pointer is held beyond the stage's edge"


def test_painting_while_zoomed_and_moved_lands_where_the_pointer_is(canvas: Canvas) -> None:
    canvas.show(picture(512, 512))
    mouse = canvas.page.mouse
    before = canvas.at(100, 120)
    mouse.move(*before)
    for _ in range(6):
        mouse.wheel(0, -200)
        canvas.settle()
    after = canvas.at(100, 120)
    assert canvas.call("canvas.stage.view.scale") > 4
    assert np.allclose(before, after, atol=6), "the picture stays put under the pointer, whose wheel events come in whole pixels"
    canvas.size(3)
    canvas.stroke((100.5, 120.5))
    assert extent(canvas.mask()) == (99, 119, 102, 122)
    canvas.stage.focus()
    canvas.page.keyboard.down("Space")
    goal = canvas.at(130, 140)
    canvas.stroke((100, 120), (130, 140))
    canvas.page.keyboard.up("Space")
    assert np.allclose(canvas.at(100, 120), goal, atol=2), "space and a drag move the picture"
    assert extent(canvas.mask()) == (99, 119, 102, 122), "moving does not paint"
    canvas.stroke((100, 120), (95, 118), button="middle")
    canvas.stroke((110.5, 120.5))
    assert extent(canvas.mask()) == (99, 119, 112, 122)
    canvas.press("Fit")
    assert canvas.call("canvas.stage.view.fitted") is True


def test_a_small_picture_is_enlarged_crisp_and_painted_pixel_by_pixel(canvas: Canvas) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    canvas.show(encoded(Image.fromarray(noise)))
    scale = canvas.call("canvas.stage.view.scale / canvas.stage.view.ratio")
    assert scale == int(scale) and scale >= 6
    canvas.size(1)
    canvas.stroke((10.9, 20.1))
    assert extent(canvas.mask()) == (10, 20, 11, 21)
    canvas.stroke((30.5, 5.5), (30.5, 60.5), steps=20)
    mask = canvas.mask()
    assert mask[5:61, 30].all() and mask.sum() == 255 * 57
    canvas.press("Clear mask")
    canvas.page.mouse.move(2, 2)
    canvas.settle()
    shown = np.asarray(Image.open(io.BytesIO(canvas.page.screenshot())).convert("RGB")).astype(int)
    for x, y in ((0, 0), (13, 40), (63, 63)):
        for fx, fy in ((0.15, 0.15), (0.85, 0.85)):
            px, py = canvas.at(x + fx, y + fy)
            assert np.abs(shown[int(py), int(px)] - noise[y, x]).max() <= 2


def test_the_keyboard_alone_can_paint(canvas: Canvas) -> None:
    canvas.show(picture(200, 200))
    canvas.size(20)
    canvas.stage.focus()
    keyboard = canvas.page.keyboard
    keyboard.press("Enter")
    assert extent(canvas.mask()) == (90, 90, 110, 110)
    keyboard.press("ArrowDown")
    for _ in range(4):
        keyboard.press("Shift+ArrowRight")
    mask = canvas.mask()
    assert np.array_equal(mask, disc((200, 200), (100, 100, 100, 100, 10), (100, 105, 120, 105, 10)))
    for _ in range(60):
        keyboard.press("ArrowLeft")
    keyboard.press("e")
    keyboard.press("Enter")
    assert np.array_equal(canvas.mask(), mask), "the brush stops at the picture's edge"


def test_keys_act_only_with_attention_and_never_while_typing(canvas: Canvas) -> None:
    canvas.show(picture(512, 512))
    canvas.size(40)
    canvas.stage.hover()
    keyboard = canvas.page.keyboard
    keyboard.press("]")
    assert canvas.call("canvas.tool.size") == 46
    keyboard.press("[")
    keyboard.press("e")
    assert canvas.page.get_by_role("button", name="Eraser").get_attribute("aria-pressed") == "true"
    keyboard.press("b")
    assert canvas.page.get_by_role("button", name="Brush (B)").get_attribute("aria-pressed") == "true"
    canvas.stroke((200, 200))
    text = canvas.page.locator("#text")
    text.click()
    canvas.stage.hover()
    size = canvas.call("canvas.tool.size")
    keyboard.type("e] i")
    keyboard.press("Control+z")
    keyboard.press("Delete")
    assert canvas.call("canvas.hasMask()") is True
    assert canvas.call("canvas.tool.size") == size and canvas.call("canvas.tool.erasing") is False
    text.evaluate("element => element.blur()")
    canvas.page.mouse.move(2, 2)
    keyboard.press("Control+i")
    assert canvas.call("canvas.stage.sheet.history.done.length") == 1, "no attention, no action"


def test_escape_takes_the_stroke_back(canvas: Canvas) -> None:
    canvas.show(picture(400, 400))
    canvas.stroke((50, 50))
    before = canvas.mask()
    mouse = canvas.page.mouse
    mouse.move(*canvas.at(200, 200))
    mouse.down()
    mouse.move(*canvas.at(300, 200), steps=5)
    canvas.page.keyboard.press("Escape")
    mouse.move(*canvas.at(300, 300), steps=5)
    mouse.up()
    assert np.array_equal(canvas.mask(), before)


def test_a_pen_presses_erases_and_leaves_moving_to_the_finger(phone: Canvas) -> None:
    phone.show(picture(400, 400))
    phone.size(40)
    pressure = phone.page.get_by_role("button", name="Pen pressure")
    assert pressure.count() == 0
    phone.pen((100, 100), force=0.5)
    assert extent(phone.mask()) == (80, 80, 120, 120), "pressure counts only when asked for"
    pressure.click()
    phone.pen((300, 100), force=0.2)
    left, top, right, bottom = extent(phone.mask()[:, 200:])
    assert right - left == bottom - top == 16
    before = phone.mask()
    fingers = Fingers(phone.page)
    place = phone.at(200, 200)
    fingers.send("touchStart", place)
    fingers.send("touchMove", (place[0] + 40, place[1] + 20))
    fingers.send("touchEnd")
    assert np.array_equal(phone.mask(), before)
    assert np.allclose(phone.at(200, 200), (place[0] + 40, place[1] + 20), atol=1)


def test_a_soft_brush_fades_towards_its_rim(canvas: Canvas) -> None:
    canvas.page.evaluate("canvas.destroy()")
    canvas.page.evaluate("window.canvas = safelight.canvas.mount(document.querySelector('#host'), {softness: 1})")
    canvas.show(picture(200, 200))
    canvas.size(80)
    canvas.stroke((100, 100), (120, 100))
    row = canvas.mask(binary=False)[100].astype(int)
    assert row[110] >= 250 and row[50] == 0 and row[170] == 0
    assert 100 < row[80] < 150 and (np.diff(row[60:100]) >= 0).all()
