"""How it sits on the page: visible on any picture, in any container, under a thumb, beside another canvas."""

import io

import numpy as np
from PIL import Image

from tests.browser.canvas.driver import Canvas, Fingers, extent, picture


def test_the_veil_is_seen_on_any_picture(canvas: Canvas) -> None:
    for colour in ("#ff5424", "#000000", "#ffffff", "#ff0000"):
        canvas.show(picture(256, 256, colour))
        canvas.size(80)
        canvas.page.mouse.move(2, 2)
        canvas.settle()
        before = np.asarray(Image.open(io.BytesIO(canvas.stage.screenshot())).convert("RGB")).astype(int)
        canvas.stroke((128, 128))
        canvas.page.mouse.move(2, 2)
        canvas.settle()
        after = np.asarray(Image.open(io.BytesIO(canvas.stage.screenshot())).convert("RGB")).astype(int)
        changed = np.abs(after - before).max(axis=2)
        assert (changed > 60).sum() > 300, f"on {colour} the edge or the hatch must stand out"


def test_it_follows_its_container(canvas: Canvas) -> None:
    canvas.show(picture(600, 300))
    canvas.page.evaluate("document.querySelector('#host').style.cssText = 'width: 330px; height: 420px'")
    canvas.settle()
    size = canvas.call("[canvas.stage.upper.width, canvas.stage.upper.height, canvas.stage.view.scale * 600]")
    assert size[0] < 340 and size[1] < 420 and size[2] <= size[0]
    canvas.size(30)
    canvas.stroke((300, 150))
    assert abs(sum(extent(canvas.mask())[::2]) / 2 - 300) <= 2
    canvas.page.evaluate("document.querySelector('#host').style.display = 'none'")
    canvas.settle()
    canvas.page.evaluate("document.querySelector('#host').style.cssText = ''")
    canvas.settle()
    assert canvas.call("canvas.stage.upper.width") > 900


def test_two_canvases_do_not_disturb_each_other_and_leave_nothing_behind(canvas: Canvas) -> None:
    canvas.show(picture(100, 60))
    canvas.page.evaluate("window.second = safelight.canvas.mount(document.querySelector('#other'))")
    canvas.call("second.setPicture(blob)", picture(80, 60))
    canvas.settle()
    canvas.stroke((50, 30))
    canvas.page.locator("#other .sl-painter-stage").hover()
    canvas.page.keyboard.press("Control+i")
    assert canvas.call("second.hasMask()") is True
    assert canvas.call("canvas.stage.sheet.history.done.length") == 1
    canvas.call("second.destroy()")
    assert canvas.page.locator("#other").inner_html() == ""
    canvas.page.keyboard.press("Control+i")
    assert canvas.call("canvas.stage.sheet.history.done.length") in (1, 2)


def test_every_tool_has_a_name_and_a_tooltip(canvas: Canvas) -> None:
    canvas.show(picture(100, 100))
    names = [button.get_attribute("aria-label") for button in canvas.page.locator("#host .sl-painter-tools button:visible").all()]
    assert names == [
        "Brush (B)",
        "Eraser (E)",
        "Lasso (L)",
        "Rectangle (R)",
        "Fill (G)",
        "Frame (F)",
        "Undo (Ctrl+Z)",
        "Redo (Ctrl+Shift+Z)",
        "Invert mask (Ctrl+I)",
        "Clear mask (Delete)",
        "More for the mask",
        "Picture",
        "Fit (0)",
        "Actual size (1)",
        "Keys (?)",
    ]
    assert all(button.get_attribute("title") for button in canvas.page.locator("#host .sl-painter-tools .sl-painter-button").all())


def test_a_finger_paints_and_two_fingers_move_and_zoom(phone: Canvas) -> None:
    phone.show(picture(500, 500))
    phone.size(30)
    fingers = Fingers(phone.page)
    fingers.send("touchStart", phone.at(100, 100))
    for x in range(110, 310, 20):
        fingers.send("touchMove", phone.at(x, 100))
    fingers.send("touchEnd")
    mask = phone.mask()
    left, top, right, bottom = extent(mask)
    assert abs(left - 85) <= 3 and abs(right - 305) <= 3 and bottom - top <= 32
    scale = phone.call("canvas.stage.view.scale")
    a, b = phone.at(200, 250), phone.at(300, 250)
    fingers.send("touchStart", a)
    fingers.send("touchStart", a, b)
    for step in range(1, 9):
        fingers.send("touchMove", (a[0] - 5 * step, a[1]), (b[0] + 5 * step, b[1]))
    fingers.send("touchEnd")
    assert phone.call("canvas.stage.view.scale") / scale > 1.6
    assert np.array_equal(phone.mask(), mask), "what the first of two fingers touched is taken back"
    fingers.send("touchStart", phone.at(250, 300))
    fingers.send("touchEnd")
    left, top, right, bottom = extent(phone.mask()[250:])
    assert abs((left + right) / 2 - 250) <= 2 and abs((top + bottom) / 2 - 50) <= 2


def test_on_a_phone_everything_fits_and_is_large_enough(phone: Canvas) -> None:
    phone.show(picture(500, 500))
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    for control in phone.page.locator("#host button:visible, #host input:visible").all():
        box = control.bounding_box()
        assert box["height"] >= 40 and box["width"] >= 40 and box["x"] >= 0 and box["x"] + box["width"] <= 390
