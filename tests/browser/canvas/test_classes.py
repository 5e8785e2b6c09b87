"""A map of named colours: only those are painted, unmixed, and each is found by its name."""

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.canvas.driver import Canvas, disc, picture

SKY, TREE, ROAD = (6, 230, 230), (4, 200, 3), (140, 140, 140)


@pytest.fixture
def layers() -> str:
    return "?layers=picture,control&classes"


def named(canvas: Canvas, name: str) -> Locator:
    return canvas.page.get_by_role("option", name=name, exact=True)


def painted(canvas: Canvas) -> np.ndarray:
    return np.asarray(canvas.exported("canvas.exportLayer('control')"))


def test_only_the_named_colours_are_painted_and_none_is_mixed(canvas: Canvas) -> None:
    canvas.show(picture(120, 80, "#4488aa"))
    for never in ("Hardness", "Opacity", "Colour", "Tolerance"):
        assert not canvas.page.get_by_label(never, exact=True).first.is_visible()
    named(canvas, "sky").click()
    canvas.size(20)
    canvas.page.keyboard.press("{")  # softer: not here
    canvas.stroke((20, 15), (100, 15))
    named(canvas, "tree").click()
    canvas.stroke((30, 30), (90, 60))
    canvas.press("Fill")
    named(canvas, "road").click()
    canvas.stroke((5, 75))
    colours = {tuple(map(int, colour)) for colour in painted(canvas).reshape(-1, 3)}
    assert colours == {SKY, TREE, ROAD}
    covered = disc((80, 120), (30, 30, 90, 60, 10)) > 0
    assert (painted(canvas)[covered] == TREE).all()
    canvas.press("Undo")
    assert (painted(canvas)[75, 5] == 0).all(), "what nothing is said of is black"


def test_the_eyedropper_takes_no_colour_that_has_no_name(canvas: Canvas) -> None:
    canvas.show(picture(120, 80, "#4488aa"))
    named(canvas, "tree").click()
    canvas.size(20)
    canvas.stroke((30, 30))
    named(canvas, "sky").click()
    canvas.press("Eyedropper")
    canvas.stroke((100, 60))
    expect(named(canvas, "sky")).to_have_attribute("aria-selected", "true")
    canvas.stroke((30, 30))
    expect(named(canvas, "tree")).to_have_attribute("aria-selected", "true")


def test_names_are_searched_and_chosen_by_keys(canvas: Canvas) -> None:
    canvas.show(picture(120, 80))
    search = canvas.page.get_by_role("searchbox", name="Search what is painted")
    search.fill("SK")
    assert canvas.page.get_by_role("option").all_inner_texts() == ["sky", "skyscraper"]
    search.press("Enter")
    expect(named(canvas, "sky")).to_have_attribute("aria-selected", "true")
    search.press("ArrowDown")
    expect(named(canvas, "skyscraper")).to_have_attribute("aria-selected", "true")
    search.fill("road")
    expect(named(canvas, "road")).to_have_attribute("aria-selected", "false")  # the same grey, another name
    search.fill("submarine")
    expect(canvas.page.get_by_text("Nothing here has such a name.")).to_be_visible()
    search.fill("")
    names = canvas.page.get_by_role("listbox", name="What is painted")
    names.focus()
    names.press("Home")
    assert canvas.call("canvas.tool.colour") == "#787878"
    names.press("b")
    expect(canvas.page.get_by_role("button", name="Brush (B)")).to_have_attribute("aria-pressed", "true")


def test_the_picture_underneath_stays(canvas: Canvas) -> None:
    canvas.show(picture(120, 80))
    assert not canvas.page.get_by_role("button", name="Picture", exact=True).first.is_enabled()
    assert canvas.page.get_by_text("Choose picture").count() == 0
