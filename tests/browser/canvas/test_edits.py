"""Undo, redo, invert, clear and masks from files: whole-mask edits and the way back."""

import numpy as np
from PIL import Image

from tests.browser.canvas.driver import Canvas, disc, encoded, picture


def test_undo_and_redo_go_through_every_kind_of_edit(canvas: Canvas) -> None:
    canvas.show(picture(400, 300))
    states = [canvas.mask()]
    canvas.size(30)
    upload = encoded(Image.fromarray(disc((300, 400), (50, 50, 350, 250, 12))))
    for edit in (
        lambda: canvas.stroke((50, 60), (300, 60)),
        lambda: canvas.stroke((200, 20), (210, 280)),
        lambda: canvas.press("Invert mask"),
        lambda: (canvas.press("Eraser"), canvas.stroke((20, 250), (380, 220))),
        lambda: canvas.call("canvas.setMask(blob)", upload),
        lambda: canvas.press("Clear mask"),
    ):
        edit()
        states.append(canvas.mask())
    assert len({state.tobytes() for state in states[:-1]}) == len(states) - 1
    canvas.stage.focus()
    for state in reversed(states[:-1]):
        canvas.page.keyboard.press("Control+z")
        assert np.array_equal(canvas.mask(), state)
    assert canvas.page.get_by_role("button", name="Undo").is_disabled()
    for state in states[1:]:
        canvas.page.keyboard.press("Control+Shift+Z")
        assert np.array_equal(canvas.mask(), state)
    assert canvas.page.get_by_role("button", name="Redo").is_disabled()
    canvas.press("Undo")
    canvas.stroke((100, 100))
    assert canvas.page.get_by_role("button", name="Redo").is_disabled(), "a new edit ends what could be redone"


def test_a_stroke_that_changes_nothing_is_no_step(canvas: Canvas) -> None:
    canvas.show(picture(300, 300))
    canvas.press("Eraser")
    canvas.stroke((100, 100), (200, 200))
    assert canvas.page.get_by_role("button", name="Undo").is_disabled()
    assert canvas.call("changes.filter(change => change.reason === 'mask').length") == 0


def test_sixty_strokes_are_undone_and_history_stays_small(canvas: Canvas) -> None:
    canvas.show(picture(2048, 2048))
    canvas.size(60)
    for i in range(60):
        x = 40 + 33 * i
        canvas.stroke((x, 100), (x, 1900), steps=1)
    assert canvas.call("canvas.stage.sheet.history.bytes") < 2048 * 2048
    assert canvas.call("Array.from({length: 60}, () => canvas.undo()) && canvas.hasMask()") is False
    canvas.call("Array.from({length: 60}, () => canvas.redo())")
    assert canvas.mask()[1000, 30:1990].all()


def test_invert_and_clear(canvas: Canvas) -> None:
    canvas.show(picture(301, 199))
    canvas.size(50)
    canvas.stroke((150, 100))
    before = canvas.mask()
    canvas.press("Invert mask")
    assert np.array_equal(canvas.mask(), 255 - before)
    canvas.press("Clear mask")
    assert not canvas.mask().any()
    assert canvas.page.get_by_role("button", name="Clear mask").is_disabled()
    canvas.press("Invert mask")
    assert canvas.mask().all()
    canvas.press("Invert mask")
    assert canvas.call("canvas.hasMask()") is False


def test_a_mask_file_is_taken_at_the_same_size_only(canvas: Canvas) -> None:
    canvas.show(picture(320, 240))
    wanted = disc((240, 320), (60, 60, 260, 180, 30))
    with canvas.page.expect_file_chooser() as chooser:
        canvas.press("More for the mask")
        canvas.press("Upload mask")
    chooser.value.set_files({"name": "mask.png", "mimeType": "image/png", "buffer": encoded(Image.fromarray(wanted))})
    canvas.page.wait_for_function("canvas.hasMask()")
    assert np.array_equal(canvas.mask(), wanted)
    layer = np.zeros((240, 320, 4), np.uint8)
    layer[50:100, 50:100] = 255
    assert canvas.call("canvas.setMask(blob)", encoded(Image.fromarray(layer)))
    assert np.array_equal(canvas.mask(), layer[..., 3]), "white on nothing is a mask too"
    assert canvas.call("canvas.setMask(blob)", encoded(Image.new("L", (321, 240)))) is False
    assert canvas.said() == "The mask has 321 × 240 pixels but the picture has 320 × 240; they must be equal."
    assert np.array_equal(canvas.mask(), layer[..., 3]), "a refused mask changes nothing"


def test_transparency_can_become_the_mask(canvas: Canvas) -> None:
    pixels = np.full((90, 120, 4), 200, np.uint8)
    pixels[..., 3] = 255
    pixels[20:50, 30:70, 3] = 0
    canvas.show(picture(90, 120))
    assert canvas.page.get_by_role("button", name="Use transparency as mask").count() == 0
    canvas.show(encoded(Image.fromarray(pixels)))
    canvas.press("More for the mask")
    canvas.press("Use transparency as mask")
    assert np.array_equal(canvas.mask(), 255 - pixels[..., 3])


def test_the_mask_stays_when_asked_to_and_the_size_is_the_same(canvas: Canvas) -> None:
    canvas.show(picture(200, 200))
    canvas.stroke((100, 100))
    mask = canvas.mask()
    assert canvas.call("canvas.setPicture(blob, 'next', {keepLayers: true})", picture(200, 200, "#a33"))
    assert np.array_equal(canvas.mask(), mask)
    assert canvas.call("canvas.setPicture(blob, 'next', {keepLayers: true})", picture(200, 201, "#a33"))
    assert not canvas.mask().any()
    canvas.call("canvas.clearPicture()")
    assert canvas.call("[canvas.hasPicture(), canvas.hasMask(), canvas.pictureId()]") == [False, False, None]
    assert canvas.page.get_by_text("Drop a picture here").is_visible()
