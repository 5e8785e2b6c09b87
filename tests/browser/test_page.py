"""The page around the pictures: what it remembers, what it says, who can use it."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import BrowserContext, expect

from tests.browser.desk import Desk, Program

A1111 = """a fox in the snow, <img src=x onerror=document.title='owned'>
Negative prompt: blurry
Steps: 12, Sampler: Euler a, Schedule type: Automatic, CFG scale: 6.5, Seed: 1234, Size: 64x96, Model: nowhere, Fantasy key: 7"""


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A picture as AUTOMATIC1111 writes it."""
    path = tmp_path / "foreign.png"
    chunks = PngInfo()
    chunks.add_text("parameters", A1111)
    Image.new("RGB", (64, 96), "orange").save(path, pnginfo=chunks)
    return path


def test_everything_typed_survives_a_reload_also_in_other_tabs(desk: Desk) -> None:
    desk.prompt.fill("kept one")
    desk.unfold("negative")
    desk.page.get_by_role("textbox", name="Negative prompt").fill("kept two")
    desk.set("guidance_scale", 3.5)
    desk.unfold("sampler")
    desk.pick("Scheduler", "Heun")
    desk.tab("img2img")
    desk.prompt.fill("kept three")
    desk.reload()
    expect(desk.page.get_by_role("tab", name="img2img")).to_have_attribute("aria-selected", "true")
    expect(desk.prompt).to_have_value("kept three")
    desk.tab("txt2img")
    expect(desk.prompt).to_have_value("kept one")
    expect(desk.number("guidance_scale")).to_have_value("3.5")
    job = desk.program.finished(desk.generate())
    request = job["request"]
    assert (request["negative_prompt"], request["guidance_scale"], request["scheduler"]) == ("kept two", 3.5, "heun")


def test_a_running_job_is_there_again_after_a_reload_and_on_another_device(desk: Desk, context: BrowserContext) -> None:
    desk.prompt.fill("still here")
    desk.set("num_inference_steps", 150)
    desk.set("num_images_per_prompt", 8)
    desk.generate()
    expect(desk.developing).to_be_visible()
    desk.reload()
    expect(desk.developing).to_be_visible()
    other = Desk(context.new_page(), desk.program)
    other.open()
    expect(other.developing).to_be_visible()
    other.cancel.click()
    expect(desk.go).to_be_visible()


def test_the_empty_stage_offers_prompts_that_work(desk: Desk) -> None:
    desk.page.route(re.compile(r"/api/v1/images\?"), lambda route: route.fulfill(json={"images": []}))
    desk.page.route(re.compile(r"/api/v1/jobs\?"), lambda route: route.fulfill(json={"jobs": [], "version": 0}))
    desk.reload()
    expect(desk.page.get_by_role("heading", name="Nothing developed yet")).to_be_visible()
    ideas = desk.page.locator(".sl-ideas button")
    expect(ideas).to_have_count(3)
    prompt = ideas.nth(1).inner_text()
    ideas.nth(1).click()
    expect(desk.prompt).to_have_value(prompt)
    desk.program.until(lambda: desk.program.jobs()[0]["request"]["prompt"] == prompt)
    desk.page.unroute_all()


def test_a_broken_rule_is_told_at_its_field_until_it_is_mended(desk: Desk) -> None:
    width = desk.number("width")
    width.fill("65")
    width.press("Control+Enter")
    alert = desk.page.locator("#txt2img-width").get_by_role("alert")
    expect(alert).to_have_text("Width should be a multiple of 8; got 65.")
    expect(width).to_have_attribute("aria-invalid", "true")
    expect(width).to_be_focused()
    width.fill("64")
    expect(alert).to_have_count(0)


def test_a_broken_checkpoint_is_listed_with_its_reason_and_refused_in_one_sentence(desk: Desk) -> None:
    desk.unfold("model")
    desk.page.get_by_role("combobox", name="Checkpoint").click()
    desk.page.get_by_role("option", name="cannot be used").click()
    desk.go.click()
    expect(desk.page.get_by_role("alert").filter(has_text="broken")).to_be_visible()


def test_a_wrong_field_in_a_closed_fold_is_unfolded(desk: Desk) -> None:
    refusal = {"error": "clip_skip must be less; got 99.", "field": "clip_skip"}
    desk.page.route(re.compile("/api/v1/jobs$"), lambda route: route.fulfill(status=422, json=refusal))
    desk.go.click()
    expect(desk.page.locator("#txt2img-clip_skip").get_by_role("alert")).to_have_text("Skip text layers must be less; got 99.")


def test_a_dropped_picture_tells_how_it_was_made_and_can_be_used(desk: Desk, foreign: Path) -> None:
    with desk.page.expect_file_chooser() as chooser:
        desk.page.get_by_role("button", name="Open a picture").click()
    chooser.value.set_files(foreign)
    card = desk.page.get_by_role("dialog")
    expect(card).to_contain_text("a fox in the snow, <img src=x onerror=document.title='owned'>")
    expect(card).to_contain_text("Fantasy key")
    card.get_by_role("button", name="Send to img2img").click()
    expect(card).to_be_hidden()
    expect(desk.page.locator("#img2img-prompt textarea")).to_have_value(re.compile("a fox in the snow"))
    expect(desk.number("num_inference_steps", "img2img")).to_have_value("12")
    expect(desk.number("seed", "img2img")).to_have_value("1234")
    assert desk.page.title() != "owned"


def test_what_a_picture_had_not_is_switched_off_when_its_settings_are_taken(desk: Desk, foreign: Path) -> None:
    desk.unfold("modifiers")
    switch = desk.page.locator("#txt2img-modifiers-freeu input[type=checkbox]")
    switch.check()
    with desk.page.expect_file_chooser() as chooser:
        desk.page.get_by_role("button", name="Open a picture").click()
    chooser.value.set_files(foreign)
    desk.page.get_by_role("dialog").get_by_role("button", name="Send to txt2img").click()
    expect(switch).not_to_be_checked()


def test_a_picture_dropped_anywhere_opens_its_card(desk: Desk, foreign: Path) -> None:
    data = desk.page.evaluate_handle(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "foreign.png", { type: "image/png" }));
            return data;
        }""",
        list(foreign.read_bytes()),
    )
    desk.page.dispatch_event("#sl-tabs", "drop", {"dataTransfer": data})
    card = desk.page.get_by_role("dialog")
    expect(card.get_by_role("heading", name="How this picture was made")).to_be_visible()
    card.get_by_role("button", name="Use picture in inpaint").click()
    expect(desk.page.get_by_role("tab", name="inpaint")).to_have_attribute("aria-selected", "true")
    expect(desk.page.locator(".sl-canvas canvas").first).to_be_visible()


def test_markup_in_a_prompt_stays_text(desk: Desk) -> None:
    desk.prompt.fill("<img src=x onerror=\"document.title='owned'\"><b>bold</b>")
    desk.set("num_inference_steps", 100)
    desk.generate()
    desk.prompt.press("Control+Enter")
    expect(desk.queue.first).to_contain_text("<b>bold</b>")
    assert desk.page.locator("img[onerror]").count() == 0


def test_the_look_is_remembered(desk: Desk) -> None:
    desk.page.get_by_role("button", name="Light look").click()
    desk.reload()
    expect(desk.page.get_by_role("button", name="Dark look")).to_be_visible()
    light = desk.page.evaluate("getComputedStyle(document.body).backgroundColor")
    desk.page.get_by_role("button", name="Dark look").click()
    assert desk.page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_every_control_has_a_name_and_tab_reaches_generate(desk: Desk) -> None:
    nameless = """() => [...document.querySelectorAll("button, input, textarea, a[href]")]
        .filter((each) => each.checkVisibility() && each.tabIndex >= 0)
        .filter((each) => !(each.ariaLabel || each.innerText?.trim() || each.labels?.length || each.title))
        .map((each) => each.outerHTML.slice(0, 120))"""
    for fold in ("negative", "sampler", "model", "modifiers"):
        desk.unfold(fold)
    assert desk.page.evaluate(nameless) == []
    for fold in ("negative", "sampler", "model", "modifiers"):
        desk.fold(fold).click()
    desk.prompt.focus()
    for _ in range(40):
        desk.page.keyboard.press("Tab")
        if "sl-go" in desk.page.evaluate("document.activeElement.className"):
            return
    raise AssertionError("Generate was not reached")


def test_on_a_phone_the_picture_is_on_top_and_generate_under_the_thumb(desk: Desk) -> None:
    desk.page.set_viewport_size({"width": 390, "height": 844})
    for tab in ("txt2img", "img2img", "inpaint"):
        desk.tab(tab)
        assert desk.page.evaluate("document.documentElement.scrollWidth") <= 390
    stage, go, prompt = (each.bounding_box() for each in (desk.page.locator(".sl-room"), desk.go, desk.prompt))
    assert stage and go and prompt
    assert stage["y"] + stage["height"] < prompt["y"] < go["y"] < 844 - go["height"]


def test_a_new_checkpoint_appears_without_a_restart(desk: Desk, models: Path) -> None:
    from tests.toys import save_toy

    save_toy(models / "checkpoints" / "z-late")
    desk.unfold("model")
    desk.page.get_by_role("combobox", name="VAE").focus()
    desk.page.get_by_role("combobox", name="Checkpoint").click()
    expect(desk.page.get_by_role("option", name="z-late")).to_be_visible()


def test_a_picture_downloads_as_it_was_saved(desk: Desk) -> None:
    desk.prompt.fill("to take away")
    done = desk.program.finished(desk.generate())
    desk.shows(done)
    with desk.page.expect_download() as download:
        desk.page.get_by_role("link", name="Download").click()
    data = Path(download.value.path()).read_bytes()
    assert data == desk.program.picture_bytes(done["images"][0])
    assert "to take away" in Image.open(io.BytesIO(data)).info["parameters"]


def test_the_engine_may_die_and_the_job_still_ends_well(desk: Desk, program: Program) -> None:
    psutil = pytest.importorskip("psutil")
    desk.prompt.fill("a survivor")
    desk.set("num_inference_steps", 150)
    desk.set("num_images_per_prompt", 4)
    job = desk.generate()
    expect(desk.developing).to_be_visible()
    for child in psutil.Process(program.pid).children(recursive=True):
        if any("spawn_main" in part for part in child.cmdline()):
            child.kill()
    expect(desk.page.locator(".sl-notice").first).to_be_visible(timeout=60_000)
    program.until(lambda: program.job(job)["state"] in ("running", "finished") and program.job(job)["attempt"] == 2, 120)
    expect(desk.cancel.or_(desk.go)).to_be_visible()
