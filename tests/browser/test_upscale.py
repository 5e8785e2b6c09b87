"""A picture made larger on the page, and compared with what it was."""

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.browser.desk import Desk


def test_what_was_made_is_enlarged_and_compared_with_before(desk: Desk) -> None:
    first = desk.program.finished(desk.generate())
    desk.shows(first)
    assert desk.page.get_by_role("button", name="Compare").count() == 0, "there is nothing to compare with"
    desk.page.get_by_role("button", name="To upscale").click()
    expect(desk.page.get_by_role("img", name="The picture to start from")).to_be_visible()
    done = desk.program.finished(desk.generate())
    assert (done["task"], done["state"], done["request"]["scale"], done["request"]["strength"]) == ("upscale", "finished", 2, 0)
    before, after = (desk.program.picture(job["images"][0]).convert("RGB") for job in (first, done))
    larger = before.resize((before.width * 2, before.height * 2), Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(after), np.asarray(larger))
    desk.shows(done)
    compare = desk.page.get_by_role("button", name="Compare")
    compare.click()
    expect(compare).to_have_attribute("aria-pressed", "true")
    expect(desk.page.get_by_role("img", name="The picture that it was made from")).to_be_visible()
    slider = desk.page.get_by_role("slider", name="How much of the picture before is shown")
    slider.fill("80")
    assert desk.page.locator(".sl-compare").evaluate("node => node.style.getPropertyValue('--cut')") == "80%"
    compare.click()
    expect(slider).to_have_count(0)
    desk.shows(done)


def test_a_tile_that_overlaps_itself_is_told_at_its_field(desk: Desk) -> None:
    first = desk.program.finished(desk.generate())
    desk.shows(first)
    desk.page.get_by_role("button", name="To upscale").click()
    expect(desk.page.get_by_role("img", name="The picture to start from")).to_be_visible()
    desk.set("strength", 0.5, "upscale")
    desk.unfold("tiles", "upscale")
    desk.set("overlap", 512, "upscale")
    desk.go.click()
    expect(desk.page.get_by_text("overlap must be below the tile's sides")).to_be_visible()


def test_tiles_that_would_repeat_the_subject_are_told_of_at_the_field(desk: Desk) -> None:
    first = desk.program.finished(desk.generate())
    desk.shows(first)
    desk.page.get_by_role("button", name="To upscale").click()
    expect(desk.page.get_by_role("img", name="The picture to start from")).to_be_visible()
    told = desk.page.locator("#upscale-strength").get_by_text("every tile may draw the whole subject")
    desk.set("strength", 0.3, "upscale")
    expect(told).to_be_hidden()
    desk.set("strength", 0.5, "upscale")
    expect(told).to_be_visible()
    desk.set("width", 256, "upscale")
    desk.set("height", 256, "upscale")
    expect(told).to_be_hidden()  # the whole is one tile
