"""Drives the canvas as a user does: real mouse, wheel, keys and fingers in picture coordinates, and masks as arrays."""

import base64
import io

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page


class Canvas:
    """The page with one canvas, and shorthands for what a test does with it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.stage: Locator = page.locator("#host .sl-painter-stage")

    def call(self, expression: str, data: bytes | None = None) -> object:
        """Evaluates an expression of `canvas` (and of `blob`, made from data)."""
        script = """async ([code, base64]) => {
            const blob = base64 === null ? null : await (await fetch("data:application/octet-stream;base64," + base64)).blob();
            return await new Function("canvas", "blob", "return " + code)(window.canvas, blob);
        }"""
        return self.page.evaluate(script, [expression, None if data is None else base64.b64encode(data).decode()])

    def show(self, picture: bytes) -> None:
        assert self.call("canvas.setPicture(blob, 'known')", picture) is True
        self.settle()

    def said(self) -> str:
        """The sentence that lies over the picture."""
        return self.stage.get_by_role("alert").inner_text()

    def settle(self) -> None:
        """Waits until what was asked for has been laid out and drawn."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")

    def exported(self, expression: str) -> Image.Image:
        """The picture in a blob that an expression gives."""
        read = """async (code) => {
            const blob = await new Function("canvas", "return " + code)(window.canvas);
            const bytes = new Uint8Array(await blob.arrayBuffer());
            let text = "";
            for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
            return btoa(text);
        }"""
        return Image.open(io.BytesIO(base64.b64decode(self.page.evaluate(read, expression))))

    def composed(self) -> np.ndarray:
        """The exported picture, (height, width, 4) of bytes."""
        return np.asarray(self.exported("canvas.exportPicture()").convert("RGBA"))

    def mask(self, binary: bool = True) -> np.ndarray:
        """The exported mask, (height, width) of bytes, after checking what every export must be."""
        image = self.exported("canvas.exportMask()")
        assert image.format == "PNG" and image.mode == "L"
        size = self.call("canvas.pictureSize()")
        assert image.size == (size["width"], size["height"])
        mask = np.asarray(image)
        assert not binary or set(np.unique(mask)) <= {0, 255}
        assert self.call("canvas.hasMask()") == bool(mask.any())
        return mask

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the picture lies in the window."""
        script = """([x, y]) => {
            const {view, upper} = canvas.stage;
            const point = view.toStage({x, y});
            const box = upper.getBoundingClientRect();
            return [box.left + point.x / view.ratio, box.top + point.y / view.ratio];
        }"""
        left, top = self.page.evaluate(script, [x, y])
        return left, top

    def stroke(self, *points: tuple[float, float], button: str = "left", steps: int = 8) -> None:
        """Drags the mouse along points of the picture."""
        mouse = self.page.mouse
        first, *rest = [self.at(*point) for point in points]  # as they lie now: the first touch may move the picture on its paper
        mouse.move(*first)
        mouse.down(button=button)
        for place in rest:
            mouse.move(*place, steps=steps)
        mouse.up(button=button)

    def pen(self, point: tuple[float, float], force: float) -> None:
        """Taps with a pen."""
        x, y = self.at(*point)
        session = self.page.context.new_cdp_session(self.page)
        pen = {"x": x, "y": y, "button": "left", "clickCount": 1, "pointerType": "pen", "force": force}
        session.send("Input.dispatchMouseEvent", {"type": "mousePressed", **pen})
        session.send("Input.dispatchMouseEvent", {"type": "mouseReleased", **pen, "force": 0})

    def size(self, pixels: int) -> None:
        self.page.get_by_label("Brush size").first.fill(str(pixels))

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name).first.click()

    def layer(self, name: str) -> None:
        """Paints on this layer from now on."""
        self.page.get_by_role("group", name="Layers").get_by_role("button", name=name, exact=True).click()

    def colour(self, hex: str) -> None:
        self.page.get_by_label("Colour", exact=True).fill(hex)

    def set(self, label: str, value: float) -> None:
        """A slider or a number of the tool."""
        field = self.page.get_by_label(label, exact=True).first
        field.fill(str(value))
        field.dispatch_event("change")


class Fingers:
    """Real touch events, through the browser's own input."""

    def __init__(self, page: Page) -> None:
        self.session = page.context.new_cdp_session(page)

    def send(self, kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(width: int, height: int, colour: str = "#4a6", kind: str = "PNG") -> bytes:
    return encoded(Image.new("RGB", (width, height), colour), kind)


def disc(shape: tuple[int, int], *capsules: tuple[float, float, float, float, float]) -> np.ndarray:
    """What brushes must paint: pixels whose centre is within the radius of a segment (x1, y1, x2, y2, radius)."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    inside = np.zeros(shape, bool)
    for x1, y1, x2, y2, radius in capsules:
        length = max((x2 - x1) ** 2 + (y2 - y1) ** 2, 1e-9)
        t = np.clip(((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length, 0, 1)
        inside |= np.hypot(x - x1 - t * (x2 - x1), y - y1 - t * (y2 - y1)) <= radius + 1e-4
    return inside.astype(np.uint8) * 255


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is white."""
    ys, xs = np.nonzero(mask)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
