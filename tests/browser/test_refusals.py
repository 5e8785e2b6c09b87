"""What is wrong with a picture or its mask is said on the canvas, in sight also on a phone, until it is mended."""

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.desk import Desk

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1440, "height": 900}
FORGET = "() => new Promise((done) => { const asked = indexedDB.deleteDatabase('safelight'); asked.onsuccess = () => done(); })"


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def inpaint(desk: Desk, request: pytest.FixtureRequest) -> Desk:
    desk.page.set_viewport_size(request.param)
    desk.tab("inpaint")
    return desk


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(path)
    return path


def said(desk: Desk, words: str) -> Locator:
    """The one alert, which lies on the canvas and is seen without scrolling."""
    alert = desk.page.get_by_role("alert")
    expect(alert).to_contain_text(words)
    expect(alert).to_have_count(1)
    expect(desk.page.locator(".sl-canvas .sl-painter-stage:visible").get_by_role("alert")).to_have_count(1)
    expect(alert).to_be_in_viewport(ratio=1)
    return alert


def test_no_picture_and_no_mask(inpaint: Desk, photo: Path) -> None:
    desk = inpaint
    desk.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    desk.go.click()
    alert = said(desk, "Choose a picture to start from.")
    desk.choose_picture("inpaint", photo)
    expect(alert).to_have_count(0)
    desk.page.get_by_role("button", name="Picture", exact=True).first.click()  # the stage's other side
    desk.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    desk.go.click()
    alert = said(desk, "Paint over the part of the picture that should change.")
    desk.page.locator(".sl-painter-stage:visible").click()
    expect(alert).to_have_count(0)


def test_files_that_do_not_fit(inpaint: Desk, photo: Path, tmp_path: Path) -> None:
    desk = inpaint
    desk.choose_picture("inpaint", photo)
    other = tmp_path / "other.png"
    Image.new("L", (32, 64), 255).save(other)
    with desk.page.expect_file_chooser() as chooser:
        desk.page.get_by_role("button", name="More for the mask").click()
        desk.page.get_by_role("button", name="Upload mask").click()
    chooser.value.set_files(other)
    alert = said(desk, "The mask has 32 × 64 pixels but the picture has 64 × 64; they must be equal.")
    alert.get_by_role("button", name="Close this message").click()
    expect(alert).to_have_count(0)
    other.write_text("no picture at all")
    desk.page.locator("[data-mount=source][data-tab=inpaint] input[type=file]").set_input_files(other)
    said(desk, "This file is no PNG, JPEG or WebP picture, whatever its name says.")


def test_a_picture_that_is_gone_from_the_disk(inpaint: Desk, photo: Path, problems: list[str]) -> None:
    desk = inpaint
    desk.choose_picture("inpaint", photo)
    id = str(desk.page.get_by_role("img", name="The picture to start from").get_attribute("src")).rpartition("/")[2]
    kept = [path for path in desk.program.outputs.rglob(f"*{id}*") if path.is_file()]
    assert kept
    for path in kept:
        path.unlink()
    desk.page.goto(f"{desk.program.url}safelight/static/icon.svg")  # the page is left, so that what it keeps can be taken away
    desk.page.evaluate(FORGET)
    desk.page.context.new_cdp_session(desk.page).send("Network.clearBrowserCache")
    desk.open()
    said(desk, "The picture that this started from is no longer kept; choose it again.")
    problems[:] = [each for each in problems if "404 (Not Found)" not in each]
