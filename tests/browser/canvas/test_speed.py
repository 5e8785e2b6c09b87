"""How long a stroke keeps the page busy; prints, asserts no times."""

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


@pytest.mark.benchmark
@pytest.mark.parametrize("side", [2048, 4096])
def test_time_spent_on_a_stroke(browser: Browser, address: str, side: int) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 1000}, device_scale_factor=2)
    page.add_init_script(f"({TIMING})()")
    page.goto(address)
    page.wait_for_function("window.canvas")
    canvas = Canvas(page)
    canvas.show(picture(side, side, kind="JPEG"))
    canvas.size(600)
    page.evaluate("spent.frames.length = spent.moves.length = 0")
    canvas.stroke((side * 0.1, side * 0.1), (side * 0.9, side * 0.5), (side * 0.2, side * 0.9), steps=60)
    for name, times in page.evaluate("spent").items():
        print(
            f"\n{side} x {side}, brush 600, {name}: median {np.median(times):.2f} ms, largest {max(times):.2f} ms of {len(times)}", end=""
        )
    page.close()
