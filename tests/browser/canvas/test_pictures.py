"""Pictures that come and go: chosen, dropped, pasted, turned, large, unreadable."""

import base64
import io

import numpy as np
from PIL import Image

from tests.browser.canvas.driver import Canvas, disc, encoded, extent, picture


def test_an_empty_canvas_says_what_to_do_and_has_no_mask(canvas: Canvas) -> None:
    assert "Drop a picture here" in canvas.stage.inner_text()
    assert canvas.call("[canvas.hasPicture(), canvas.hasMask(), canvas.pictureId(), canvas.pictureSize()]") == [False, False, None, None]
    assert canvas.call("canvas.exportMask().catch(error => error.message)") == "There is no picture to make a mask for."
    assert canvas.page.get_by_role("button", name="Brush (B)").count() == 0


def test_chosen_dropped_and_pasted_pictures_are_shown_and_sent(canvas: Canvas) -> None:
    first = picture(200, 100)
    with canvas.page.expect_file_chooser() as chooser:
        canvas.press("Choose a picture")
    chooser.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": first})
    canvas.page.wait_for_function("canvas.pictureId() !== null")
    assert canvas.call("canvas.pictureId()") == f"id-of-{len(first)}"
    assert canvas.call("changes.map(change => change.reason)") == ["picture", "upload"]
    second = picture(120, 220)
    give = """async (data) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([await (await fetch("data:image/png;base64," + data)).blob()], "b.png", {type: "image/png"}));
        return transfer;
    }"""
    transfer = canvas.page.evaluate_handle(give, base64.b64encode(second).decode())
    box = canvas.stage.bounding_box()
    place = {"dataTransfer": transfer, "clientX": box["x"] + 20, "clientY": box["y"] + 20}
    canvas.stage.dispatch_event("dragover", place)
    assert canvas.page.get_by_text("Use as mask").is_visible()
    canvas.stage.dispatch_event("drop", place)
    canvas.page.wait_for_function(f"canvas.pictureId() === 'id-of-{len(second)}'")
    mask = encoded(Image.fromarray(disc((220, 120), (60, 60, 60, 160, 30))))
    transfer = canvas.page.evaluate_handle(give, base64.b64encode(mask).decode())
    place = {"dataTransfer": transfer, "clientX": box["x"] + box["width"] - 20, "clientY": box["y"] + 20}
    canvas.stage.dispatch_event("dragover", place)
    canvas.stage.dispatch_event("drop", place)
    canvas.page.wait_for_function("canvas.hasMask()")
    assert canvas.call("canvas.pictureSize()") == {"width": 120, "height": 220}
    transfer = canvas.page.evaluate_handle(give, base64.b64encode(first).decode())
    canvas.stage.hover()
    paste = "(transfer) => document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true, cancelable: true}))"
    canvas.page.evaluate(paste, transfer)
    canvas.page.wait_for_function("canvas.pictureSize().width === 200")
    assert canvas.call("canvas.hasMask()") is False, "a new picture begins with an empty mask"


def test_what_cannot_be_a_picture_gets_a_sentence(canvas: Canvas) -> None:
    canvas.show(picture(64, 64))
    for data, words in ((b"hello, I am text", "not a picture"), (picture(64, 64)[:40], "not a picture")):
        assert canvas.call("canvas.setPicture(blob)", data) is False
        assert words in canvas.said()
    big = encoded(Image.new("1", (20_000, 20_000)))
    assert canvas.call("canvas.setPicture(blob)", big) is False
    assert canvas.said() == "This picture has 20000 × 20000 pixels; at most 40 million can be used."
    assert canvas.call("canvas.pictureSize()") == {"width": 64, "height": 64}, "the picture that was there stays"


def test_exif_orientation_is_applied(canvas: Canvas) -> None:
    upright = Image.new("RGB", (200, 320), "#222")
    upright.paste("#eee", (0, 0, 200, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    canvas.show(encoded(upright.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif))
    assert canvas.call("canvas.pictureSize()") == {"width": 200, "height": 320}
    canvas.size(20)
    canvas.stroke((100, 20))
    left, top, right, bottom = extent(canvas.mask())
    assert (right - left, bottom - top) == (20, 20) and abs(top - 10) <= 1
    pixels = np.asarray(Image.open(io.BytesIO(canvas.stage.screenshot())).convert("L"))
    middle = pixels.shape[1] // 4
    assert pixels[pixels.shape[0] // 20, pixels.shape[1] // 2 - middle // 4] != pixels[pixels.shape[0] // 2, pixels.shape[1] // 2]


def test_a_large_picture_is_exported_whole(canvas: Canvas) -> None:
    canvas.show(picture(4096, 4096, kind="JPEG"))
    canvas.size(400)
    canvas.stroke((1000, 1000), (3000, 3000))
    mask = canvas.mask()
    assert mask.shape == (4096, 4096) and mask[2000, 2000] == 255 and mask[100, 100] == 0
    canvas.press("Invert mask")
    assert canvas.mask()[100, 100] == 255
    canvas.press("Undo")
    assert np.array_equal(canvas.mask(), mask)
