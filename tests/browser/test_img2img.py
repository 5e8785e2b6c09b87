"""Picture to picture: where the picture comes from, and what is made of it."""

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.desk import Desk


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a photo.png"
    picture = Image.linear_gradient("L").resize((96, 64)).convert("RGB")
    picture.save(path)
    return path


def test_without_a_picture_the_place_for_it_says_so(desk: Desk) -> None:
    desk.tab("img2img")
    desk.prompt.fill("nothing to start from")
    desk.go.click()
    expect(desk.page.get_by_role("alert")).to_have_text("Choose a picture to start from.")
    expect(desk.go).to_be_visible()


def test_a_picture_is_chosen_and_changed(desk: Desk, photo: Path) -> None:
    desk.tab("img2img")
    desk.choose_picture("img2img", photo)
    expect(desk.page.get_by_text("a photo.png")).to_be_visible()
    desk.prompt.fill("something else")
    desk.set("strength", 0.5, "img2img")
    done = desk.program.finished(desk.generate())
    assert done["state"] == "finished", done["error"]
    assert (done["task"], done["request"]["strength"]) == ("img2img", 0.5)
    assert (done["request"]["width"], done["request"]["height"]) == (160, 104)  # as many pixels as the checkpoint was trained on
    desk.shows(done)


def test_what_was_made_can_be_the_start_of_the_next(desk: Desk) -> None:
    desk.prompt.fill("the first of two")
    first = desk.program.finished(desk.generate())
    desk.shows(first)
    desk.page.get_by_role("button", name="To img2img").click()
    expect(desk.page.locator("#img2img-prompt textarea")).to_have_value("the first of two")
    expect(desk.page.get_by_role("img", name="The picture to start from")).to_be_visible()
    second = desk.program.finished(desk.generate())
    assert second["task"] == "img2img"
    assert second["state"] == "finished", second["error"]
    desk.shows(second)


def test_a_text_file_named_png_gets_one_sentence(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("not a picture at all")
    desk.tab("img2img")
    desk.page.locator("[data-mount=source][data-tab=img2img] input[type=file]").set_input_files(path)
    expect(desk.page.get_by_role("alert")).to_contain_text(".")
    assert "Traceback" not in desk.page.get_by_role("alert").inner_text()


def test_the_picture_survives_a_reload(desk: Desk, photo: Path) -> None:
    desk.tab("img2img")
    desk.choose_picture("img2img", photo)
    desk.reload()
    expect(desk.page.get_by_role("img", name="The picture to start from")).to_have_js_property("naturalWidth", 96)


def test_a_sketch_on_the_picture_is_what_is_sent(desk: Desk, photo: Path) -> None:
    desk.tab("img2img")
    desk.choose_picture("img2img", photo)
    untouched = desk.program.finished(desk.generate())
    desk.page.get_by_role("button", name="Canvas", exact=True).click()
    desk.page.get_by_role("button", name="Colour #b23a1c").click()
    stage = desk.page.locator(".sl-painter-stage")
    stage.click()
    expect(desk.page.get_by_role("button", name="Undo")).to_be_enabled()
    done = desk.program.finished(desk.generate())
    assert done["state"] == "finished", done["error"]
    sent = desk.program.upload(done["request"]["image"]).convert("RGB")
    assert sent.size == (96, 64) and sent.getpixel((48, 32)) == (0xB2, 0x3A, 0x1C)
    before = Image.open(photo)
    assert desk.program.upload(untouched["request"]["image"]).tobytes() == before.tobytes()
    assert sent.getpixel((2, 2)) == before.getpixel((2, 2))


def test_an_empty_canvas_is_something_to_start_from(desk: Desk) -> None:
    desk.tab("img2img")
    canvas = desk.page.locator(".sl-painter-stage")
    canvas.get_by_label("Width").fill("80")
    canvas.get_by_label("Height").fill("64")
    canvas.get_by_label("Colour of the empty canvas").fill("#336699")
    canvas.get_by_role("button", name="Start from an empty canvas").click()
    expect(desk.page.get_by_role("img", name="The picture to start from")).to_have_js_property("naturalWidth", 80)
    done = desk.program.finished(desk.generate())
    assert done["state"] == "finished", done["error"]
    assert desk.program.upload(done["request"]["image"]).getcolors() == [(80 * 64, (0x33, 0x66, 0x99))]


def test_the_sketch_survives_a_reload_and_a_change_of_tabs(desk: Desk, photo: Path) -> None:
    desk.tab("img2img")
    desk.choose_picture("img2img", photo)
    desk.page.locator(".sl-painter-stage").click()
    desk.tab("inpaint")
    desk.tab("img2img")
    kept = """async () => {
        const open = () => new Promise((done) => { const o = indexedDB.open("safelight"); o.onsuccess = () => done(o.result); });
        const get = (db) => new Promise((done) => {
            const got = db.transaction("blobs").objectStore("blobs").get("img2img sketch");
            got.onsuccess = () => { db.close(); done(Boolean(got.result)); };
        });
        while (!(await get(await open()))) await new Promise(requestAnimationFrame);
    }"""
    desk.page.evaluate(kept)
    desk.reload()
    expect(desk.page.get_by_role("button", name="Clear sketch")).to_be_enabled()
    done = desk.program.finished(desk.generate())
    assert desk.program.upload(done["request"]["image"]).convert("RGB").getpixel((48, 32)) == (0xB2, 0x3A, 0x1C)
