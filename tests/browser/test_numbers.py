"""Numbers in the column: those that stand for none show a word instead, and those beyond their bounds are told of."""

import re

from playwright.sync_api import expect

from tests.browser.desk import Desk


def test_a_word_stands_where_no_number_is_meant(desk: Desk) -> None:
    seed = desk.page.locator("#txt2img-seed")
    expect(seed).to_have_attribute("data-unset", "new each time")
    desk.set("seed", 12)
    expect(seed).not_to_have_attribute("data-unset", re.compile(".*"))
    desk.unfold("modifiers")
    desk.page.get_by_role("checkbox", name="Hires fix").check()
    expect(desk.page.locator("#txt2img-modifiers-hires-width")).to_have_attribute("data-unset", "by the scale")
    desk.unfold("variation")
    width = desk.page.locator("#txt2img-seed_resize_from_width")
    expect(width).to_have_attribute("data-unset", "as it is")
    desk.set("seed_resize_from_width", 64)
    expect(width).not_to_have_attribute("data-unset", re.compile(".*"))


def test_a_number_beyond_its_bounds_is_told_of(desk: Desk) -> None:
    told = desk.page.locator("#txt2img-num_inference_steps").get_by_role("status")
    desk.set("num_inference_steps", 0)
    expect(told).to_have_text("Steps: from 1 to 150, so 0 became 1.")
    expect(desk.number("num_inference_steps")).to_have_value("1")
    desk.set("num_inference_steps", 5)
    expect(told).to_have_count(0)


def test_a_variation_is_made_and_told(desk: Desk) -> None:
    desk.prompt.fill("a cat")
    desk.set("seed", 5)
    desk.unfold("variation")
    desk.set("variation_seed", 9)
    desk.set("variation_strength", 0.4)
    job = desk.program.finished(desk.generate())
    assert job["state"] == "finished"
    assert (job["request"]["seed"], job["request"]["variation_seed"], job["request"]["variation_strength"]) == (5, 9, 0.4)
    text = desk.program.picture(job["images"][0]).info["parameters"]
    assert "Seed: 5, " in text and "Variation seed: 9, Variation seed strength: 0.4" in text
