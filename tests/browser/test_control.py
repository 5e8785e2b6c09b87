"""Control: units are added, given pictures, sent with the request, kept over a reload, and come back from a picture's recipe."""

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.desk import Desk


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "steers.png"
    picture = Image.linear_gradient("L").resize((96, 64)).convert("RGB")
    picture.paste((200, 20, 20), (30, 16, 66, 48))
    picture.save(path)
    return path


def unit(desk: Desk, number: int) -> Locator:
    return desk.page.get_by_role("group", name=f"Control {number}", exact=True)


def added(desk: Desk, photo: Path | None = None) -> Locator:
    place = desk.page.locator("#txt2img-fold-control")
    place.get_by_role("button", name="Add").click()
    made = place.locator(".sl-control-unit").last
    if photo:
        with desk.page.expect_file_chooser() as choosing:
            made.get_by_role("button", name="choose a picture").click()
        choosing.value.set_files(photo)
        expect(made.get_by_role("img", name="steers.png")).to_be_visible()
    return made


def test_units_are_sent_kept_and_come_back(desk: Desk, photo: Path) -> None:
    desk.unfold("control")
    expect(desk.page.get_by_text("There is no ControlNet here")).to_be_visible()
    added(desk, photo)
    expect(unit(desk, 1).get_by_role("combobox").first).to_have_value("reference")
    added(desk, photo)
    unit(desk, 2).get_by_role("combobox").first.select_option("blur")
    unit(desk, 2).get_by_role("slider", name="Weight").fill("0.6")
    unit(desk, 2).get_by_role("slider", name="Steps: to").fill("0.5")
    desk.prompt.fill("steered")
    done = desk.program.finished(desk.generate())
    assert done["state"] == "finished", done["error"]
    first, second = done["request"]["modifiers"]["control"]["units"]
    assert first["image"] == second["image"] and (first["preprocessor"], second["preprocessor"]) == ("reference", "blur")
    assert (second["controlnet_conditioning_scale"], second["control_guidance_end"]) == (0.6, 0.5)

    desk.reload()
    expect(desk.fold("control")).to_contain_text("Reference, Blur")
    desk.unfold("control")
    unit(desk, 1).get_by_role("button", name="Remove").click()
    unit(desk, 1).get_by_role("checkbox", name="Control 1").uncheck()
    expect(desk.fold("control")).not_to_contain_text("Blur")

    desk.shows(done)
    desk.page.get_by_role("button", name="Recipe").click()
    desk.page.get_by_role("button", name="Send to txt2img").click()
    expect(unit(desk, 2).get_by_role("slider", name="Weight")).to_have_value("0.6")
    expect(unit(desk, 1).get_by_role("checkbox", name="Control 1")).to_be_checked()


def test_what_is_made_of_a_picture_is_shown(desk: Desk, photo: Path) -> None:
    desk.unfold("control")
    made = added(desk, photo)
    made.get_by_role("combobox").first.select_option("canny")
    expect(made.get_by_text("None is here")).to_be_attached()
    made.get_by_role("button", name="Preview").click()
    shown = made.get_by_role("img", name="What is made of the picture")
    expect(shown).to_be_visible()
    before = shown.get_attribute("src")
    made.get_by_text("More", exact=True).click()
    made.get_by_role("slider", name="Blur").fill("4")
    expect(shown).not_to_have_attribute("src", before or "")


def test_a_unit_without_a_picture_and_one_without_a_model_say_so(desk: Desk, photo: Path) -> None:
    desk.unfold("control")
    made = added(desk)
    desk.go.click()
    expect(desk.page.get_by_role("alert")).to_contain_text("Control 1 has no picture: choose one, or switch it off.")
    made.get_by_role("button", name="Remove").click()
    added(desk, photo).get_by_role("combobox").first.select_option("scribble")
    desk.go.click()
    expect(desk.page.get_by_role("alert")).to_contain_text("Control 1: Scribble steers by way of a ControlNet, and none is chosen")
