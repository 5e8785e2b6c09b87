"""What is typed into a control counts, also in the very instant in which the page draws it."""

import pytest

from tests.browser.desk import Desk

TYPE = """([opener, fields, frames]) => new Promise((resolve) => {
    const left = new Map(Object.entries(fields));
    const type = (input, value) => {
        input.focus();
        input.value = value;
        input.dispatchEvent(new Event("input", { bubbles: true }));
        input.blur();
    };
    const after = (count, act) => count ? requestAnimationFrame(() => after(count - 1, act)) : act();
    const look = () => {
        for (const [id, value] of left) {
            if (!document.querySelector(`#${id} input[type=number]`)?.checkVisibility()) continue;
            left.delete(id);
            after(frames, () => {
                type(document.querySelector(`#${id} input[type=number]`), value);
                if (!left.size) resolve();
            });
        }
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, attributes: true });
    document.querySelector(opener).click();
})"""
"""Opens something, and types into fields as soon as they can be seen, or so many frames later."""


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_in_a_fold_that_just_opens(desk: Desk, frames: int) -> None:
    fields = {"txt2img-variation_seed": 9, "txt2img-variation_strength": 0.4}
    desk.page.evaluate(TYPE, ["#txt2img-fold-variation .sl-fold-head", fields, frames])
    made = desk.program.finished(desk.generate())["request"]
    assert (made["variation_seed"], made["variation_strength"]) == (9, 0.4)


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_in_a_tab_that_just_opens(desk: Desk, frames: int) -> None:
    desk.page.evaluate(TYPE, ["#upscale-tab-button", {"upscale-scale": 3}, frames])
    desk.page.wait_for_function("() => JSON.parse(localStorage['safelight.form']).values.upscale.scale === 3")
    desk.program.until(lambda: desk.number("scale", "upscale").input_value() == "3")


def test_open_folds_stay_open(desk: Desk) -> None:
    desk.unfold("variation")
    desk.set("variation_strength", 0.4)
    desk.reload()
    assert desk.number("variation_strength").is_visible()
    desk.fold("variation").click()
    assert not desk.number("variation_strength").is_visible()
