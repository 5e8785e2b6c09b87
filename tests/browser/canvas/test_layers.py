"""Layers of colour: what is painted on them, how they lie over the picture, and one way back over all of them."""

import numpy as np
import pytest
from PIL import Image

from tests.browser.canvas.driver import Canvas, disc, encoded, picture


@pytest.fixture
def layers() -> str:
    return "?layers=picture,sketch,mask,control"


def rgb(hex: str) -> list[int]:
    return [int(hex[i : i + 2], 16) for i in (1, 3, 5)]


def test_a_sketch_lies_over_the_picture_exactly(canvas: Canvas) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 240, 3), np.uint8)
    file = encoded(Image.fromarray(noise))
    canvas.show(file)
    assert canvas.exported("canvas.exportPicture()").mode == "RGB", "untouched, it is the file as it came"
    canvas.layer("Sketch")
    canvas.colour("#3f7fa8")
    canvas.size(20)
    canvas.stroke((60, 100), (160, 100))
    made = canvas.composed()
    painted = disc((200, 240), (60, 100, 160, 100, 10)) > 0
    assert (made[..., 3] == 255).all()
    assert np.array_equal(made[~painted][:, :3], noise[~painted])
    assert (made[painted][:, :3] == rgb("#3f7fa8")).all()
    assert canvas.call("canvas.hasMask()") is False
    canvas.press("Eraser")
    canvas.size(40)
    canvas.stroke((60, 100), (160, 100))
    assert np.array_equal(canvas.composed()[..., :3], noise)


def test_a_half_opaque_stroke_that_crosses_itself_is_laid_down_once(canvas: Canvas) -> None:
    canvas.show(picture(200, 200, "#000000"))
    canvas.layer("Sketch")
    canvas.colour("#ffffff")
    canvas.size(20)
    canvas.set("Opacity", 50)
    canvas.stroke((40, 100), (160, 100), (100, 100), (100, 40), (100, 160))
    values = np.unique(canvas.composed()[..., 0])
    assert len(values) == 2 and abs(int(values[1]) - 128) <= 1
    canvas.stroke((40, 60), (160, 60))
    assert abs(int(canvas.composed()[60, 100, 0]) - 191) <= 1, "a second stroke covers the first"
    canvas.press("Eraser")
    canvas.stroke((40, 60), (160, 60))
    assert abs(int(canvas.composed()[60, 60, 0]) - 64) <= 1, "half of half is left"


def test_a_soft_brush_fades_in_colour_too(canvas: Canvas) -> None:
    canvas.show(picture(200, 200, "#000000"))
    canvas.layer("Sketch")
    canvas.colour("#ffffff")
    canvas.size(80)
    canvas.set("Hardness", 0)
    canvas.stroke((100, 100), (120, 100))
    row = canvas.composed()[100, :, 0].astype(int)
    assert row[110] >= 250 and row[50] == 0 and row[170] == 0
    assert 100 < row[80] < 150 and (np.diff(row[60:100]) >= 0).all()


def test_one_history_goes_over_all_layers(canvas: Canvas) -> None:
    canvas.show(picture(300, 300))
    states = []
    canvas.size(30)
    for act in (
        lambda: canvas.stroke((50, 50), (100, 50)),
        lambda: (canvas.layer("Sketch"), canvas.stroke((50, 150), (200, 150))),
        lambda: canvas.call("canvas.setFrame({right: 64})"),
        lambda: (canvas.layer("Control"), canvas.stroke((50, 250), (200, 250))),
        lambda: (canvas.layer("Mask"), canvas.press("Invert mask")),
        lambda: (canvas.layer("Sketch"), canvas.press("Clear sketch")),
    ):
        states.append(state(canvas))
        act()
    states.append(state(canvas))
    assert len({each for each in states}) == len(states)
    for wanted in reversed(states[:-1]):
        canvas.press("Undo")
        assert state(canvas) == wanted
    for wanted in states[1:]:
        canvas.press("Redo")
        assert state(canvas) == wanted


def state(canvas: Canvas) -> bytes:
    exports = ("canvas.exportPicture()", "canvas.exportMask()", "canvas.exportLayer('control')")
    return b"".join(np.asarray(canvas.exported(each).convert("RGBA")).tobytes() for each in exports)


def test_history_is_bounded_in_memory(canvas: Canvas) -> None:
    canvas.show(picture(512, 512))
    canvas.layer("Sketch")
    canvas.call("canvas.stage.sheet.history.allowed = 4 << 20, 0")
    fill = "canvas.stage.sheet.sketch.replace(Uint32Array.from({length: 512 * 512}, (_, i) => (i * 2654435761) >>> 0))"
    for _ in range(12):
        canvas.call(fill)
        canvas.call("canvas.stage.sheet.sketch.clear()")
    assert canvas.call("canvas.stage.sheet.history.bytes") < 6 << 20
    assert 3 <= canvas.call("canvas.stage.sheet.history.done.length") < 24


def test_a_hidden_sketch_is_not_sent_and_its_strength_counts(canvas: Canvas) -> None:
    canvas.show(picture(100, 100, "#000000"))
    canvas.layer("Sketch")
    canvas.colour("#ffffff")
    canvas.size(60)
    canvas.stroke((50, 50))
    canvas.set("Opacity of the sketch", 50)
    assert abs(int(canvas.composed()[50, 50, 0]) - 128) <= 1
    canvas.press("Hide the sketch")
    assert canvas.composed()[50, 50, 0] == 0
    canvas.stroke((20, 20))
    assert abs(int(canvas.composed()[50, 50, 0]) - 128) <= 1, "who paints on it wants to see it"


def test_the_eyedropper_takes_what_is_seen(canvas: Canvas) -> None:
    canvas.show(picture(100, 100, "#4488aa"))
    canvas.layer("Sketch")
    canvas.stage.focus()
    canvas.page.keyboard.press("i")
    canvas.stroke((50, 50))
    assert canvas.call("canvas.tool.colour") == "#4488aa"
    canvas.page.keyboard.press("b")
    canvas.colour("#ff8800")
    canvas.size(20)
    canvas.stroke((30, 30))
    canvas.colour("#000000")
    canvas.page.keyboard.down("Alt")
    canvas.stroke((30, 30))
    canvas.page.keyboard.up("Alt")
    assert canvas.call("canvas.tool.colour") == "#ff8800"
    assert canvas.call("canvas.stage.sheet.history.done.length") == 1, "picking does not paint"
    assert canvas.page.get_by_role("button", name="Colour #ff8800").get_attribute("aria-pressed") == "true", "used colours stay at hand"


def test_the_control_layer_is_exported_on_black(canvas: Canvas) -> None:
    canvas.show(picture(120, 80, "#4488aa"))
    canvas.layer("Control")
    canvas.press("Colour #ffffff")
    canvas.size(10)
    canvas.stroke((20, 40), (100, 40))
    canvas.colour("#503232")
    canvas.stroke((60, 20))
    made = canvas.exported("canvas.exportLayer('control')")
    wanted = np.zeros((80, 120, 3), np.uint8)
    wanted[disc((80, 120), (20, 40, 100, 40, 5)) > 0] = 255
    wanted[disc((80, 120), (60, 20, 60, 20, 5)) > 0] = rgb("#503232")
    assert made.mode == "RGB" and np.array_equal(np.asarray(made), wanted)
    assert np.array_equal(canvas.composed()[..., :3], np.asarray(Image.new("RGB", (120, 80), "#4488aa"))), "the picture does not show it"


def test_a_pen_presses_on_a_layer_of_colour(canvas: Canvas) -> None:
    canvas.show(picture(200, 200, "#000000"))
    canvas.layer("Sketch")
    canvas.colour("#ffffff")
    canvas.size(40)
    canvas.pen((10, 10), force=0.5)
    canvas.press("Undo")
    canvas.press("Pen pressure")
    canvas.pen((100, 100), force=0.2)
    assert np.array_equal(canvas.composed()[..., 0], disc((200, 200), (100, 100, 100, 100, 8)))


def test_on_a_phone_colours_and_layers_are_large_enough(phone: Canvas, layers: str) -> None:
    phone.page.goto(phone.page.url + layers)
    phone.page.wait_for_function("window.canvas")
    phone.show(picture(300, 300))
    phone.layer("Sketch")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.page.get_by_label("Hardness").count() == 1 and not phone.page.get_by_label("Hardness").is_visible()
    phone.press("More settings")
    assert phone.page.get_by_label("Hardness").is_visible()
    for control in phone.page.locator("#host button:visible, #host input:visible").all():
        box = control.bounding_box()
        assert box["height"] >= 40 and box["width"] >= 40
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
