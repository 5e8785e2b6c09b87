"""What a stroke costs: how long it keeps the page busy is printed, how much is painted is asserted."""

import numpy as np
import pytest
from playwright.sync_api import Browser

from tests.browser.canvas.driver import Canvas, picture

TIMING = """() => {
    window.spent = {frames: [], moves: []};
    const next = window.requestAnimationFrame.bind(window);
    const timed = (list, work) => function (...given) {
        const start = performance.now();
        work.apply(this, given);
        list.push(performance.now() - start);
    };
    window.requestAnimationFrame = (work) => next(timed(spent.frames, work));
    const add = EventTarget.prototype.addEventListener;
    EventTarget.prototype.addEventListener = function (name, work, options) {
        return add.call(this, name, name === "pointermove" ? timed(spent.moves, work) : work, options);
    };
}"""


def opened(browser: Browser, address: str, side: int, layer: str) -> Canvas:
    """A canvas with a large picture on a large screen, ready to be painted on."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000}, device_scale_factor=2)
    page.add_init_script(f"({TIMING})()")
    page.goto(f"{address}?layers=picture,sketch,mask")
    page.wait_for_function("window.canvas")
    canvas = Canvas(page)
    canvas.show(picture(side, side, kind="JPEG"))
    canvas.layer(layer)
    return canvas


def zigzag(canvas: Canvas, side: int) -> None:
    canvas.stroke((side * 0.1, side * 0.1), (side * 0.9, side * 0.5), (side * 0.2, side * 0.9), steps=60)


@pytest.mark.benchmark
@pytest.mark.parametrize("brush", ["hard", "soft"])
@pytest.mark.parametrize("layer", ["Mask", "Sketch"])
@pytest.mark.parametrize("side", [2048, 4096])
def test_time_spent_on_a_stroke(browser: Browser, address: str, side: int, layer: str, brush: str) -> None:
    canvas = opened(browser, address, side, layer)
    canvas.size(200)
    canvas.set("Hardness", 100 if brush == "hard" else 30)
    canvas.page.evaluate("spent.frames.length = spent.moves.length = 0")
    zigzag(canvas, side)
    for name, times in canvas.page.evaluate("spent").items():
        work = (
            f"median {np.median(times):.2f} ms, 95 % below {np.quantile(times, 0.95):.2f} ms, largest {max(times):.2f} ms of {len(times)}"
        )
        print(f"\n{side} x {side}, {layer}, {brush} brush of 200, {name}: {work}", end="")
    canvas.page.close()


@pytest.mark.parametrize("layer", ["Mask", "Sketch"])
def test_a_stroke_paints_only_what_it_changes(browser: Browser, address: str, layer: str) -> None:
    canvas = opened(browser, address, 2048, layer)
    canvas.size(60)
    canvas.settle()
    count = "Object.values(canvas.stage.work)"
    before = np.array(canvas.call(count))
    zigzag(canvas, 2048)
    canvas.settle()
    frames, below, above = np.array(canvas.call(count)) - before
    scale = canvas.call("canvas.stage.view.scale")
    step = scale * 2048 * 0.9 / 60  # from one move of the mouse to the next
    largest = (60 * scale + step + 12) ** 2 * 122  # the brush and its way, for each of the moves
    painted, rest = (above, below) if layer == "Mask" else (below, above)
    assert 0 < painted < largest and rest == 0
    assert frames <= 124, "several moves in one frame are drawn once"
    bytes = canvas.call("canvas.stage.sheet.history.bytes")
    assert bytes < 2048 * 2048 // 4, "a stroke in one colour is kept as one bit per pixel"
    canvas.page.close()
