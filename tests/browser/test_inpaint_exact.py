"""Every way to a mask, through the page and the engine: what it keeps comes back to the last bit, at the picture's own size."""

import io

import httpx
import numpy as np
from PIL import Image, ImageOps
from playwright.sync_api import Locator, expect

from tests.browser.canvas.driver import encoded
from tests.browser.desk import Desk


class Easel:
    """The inpaint tab with its canvas, and what a hand does there."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        desk.tab("inpaint")
        self.stage: Locator = desk.page.locator(".sl-painter-stage")

    def choose(self, data: bytes, kind: str = "png") -> None:
        self.give("Choose a picture", data, kind)
        expect(self.desk.page.get_by_role("img", name="The picture to start from")).to_be_visible()

    def give(self, button: str, data: bytes, kind: str = "png") -> None:
        with self.desk.page.expect_file_chooser() as chooser:
            self.press(button)
        chooser.value.set_files({"name": f"photo.{kind}", "mimeType": f"image/{kind}", "buffer": data})

    def press(self, name: str) -> None:
        self.desk.page.locator(".sl-painter").get_by_role("button", name=name).click()

    def stroke(self, *points: tuple[float, float]) -> None:
        """Drags the mouse; points are shares of the stage's width and height."""
        box = self.stage.bounding_box()
        assert box is not None
        mouse = self.desk.page.mouse
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        mouse.move(*places[0])
        mouse.down()
        for place in places[1:]:
            mouse.move(*place, steps=8)
        mouse.up()

    def made(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Generates: the mask that was sent, and the pictures that came back."""
        job = self.desk.program.finished(self.desk.generate())
        assert job["state"] == "finished", job["error"]
        mask = httpx.get(f"{self.desk.program.url}api/v1/uploads/{job['request']['mask_image']}").raise_for_status().content
        pictures = [np.asarray(self.desk.program.picture(id)) for id in job["images"]]
        return np.asarray(Image.open(io.BytesIO(mask))), pictures


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def only_masked_differs(before: Image.Image, after: np.ndarray, mask: np.ndarray) -> None:
    assert after.shape == (before.height, before.width, 3) and mask.shape == after.shape[:2]
    difference = np.abs(after.astype(int) - np.asarray(before).astype(int)).max(axis=2)
    assert difference[mask == 0].max() == 0
    assert (difference[mask == 255] > 0).mean() > 0.5


def test_two_pictures_of_a_size_that_no_model_works_at(desk: Desk) -> None:
    easel = Easel(desk)
    photo = noise(150, 90)
    easel.choose(encoded(photo))
    desk.page.get_by_label("Brush size").fill("12")
    easel.stroke((0.4, 0.45), (0.55, 0.6))
    desk.set("num_images_per_prompt", 2, tab="inpaint")
    mask, pictures = easel.made()
    assert 0.01 < (mask == 255).mean() < 0.4
    assert len(pictures) == 2 and not np.array_equal(*pictures)
    for picture in pictures:
        only_masked_differs(photo, picture, mask)


def test_an_undone_and_inverted_mask(desk: Desk) -> None:
    easel = Easel(desk)
    photo = noise(64, 64)
    easel.choose(encoded(photo))
    easel.stroke((0.5, 0.5))
    easel.stroke((0.4, 0.3), (0.6, 0.3))
    easel.press("Undo")
    easel.press("Invert mask")
    mask, (picture,) = easel.made()
    assert 0 < (mask == 0).sum() < 60 and mask[32, 32] == 0
    only_masked_differs(photo, picture, mask)


def test_a_photograph_that_lies_on_its_side(desk: Desk) -> None:
    easel = Easel(desk)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(noise(96, 64), "JPEG", quality=95, exif=exif)
    easel.choose(data, "jpeg")
    easel.stroke((0.5, 0.3), (0.5, 0.6))
    mask, (picture,) = easel.made()
    only_masked_differs(ImageOps.exif_transpose(Image.open(io.BytesIO(data))), picture, mask)


def test_a_mask_from_a_file(desk: Desk) -> None:
    easel = Easel(desk)
    photo = noise(64, 80)
    easel.choose(encoded(photo))
    wanted = np.zeros((80, 64), np.uint8)
    wanted[20:50, 10:40] = 255
    easel.press("More for the mask")
    easel.give("Upload mask", encoded(Image.fromarray(wanted)))
    expect(desk.page.get_by_role("button", name="Clear mask")).to_be_enabled()
    mask, (picture,) = easel.made()
    assert np.array_equal(mask, wanted)
    only_masked_differs(photo, picture, mask)
