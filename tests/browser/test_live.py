"""Live mode: strokes and words lead to pictures at once, the gallery stays as it was, and one that is kept joins it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.desk import Desk

WAIT = 120_000


class Live:
    """The switch and the picture beside the canvas."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.switch = desk.page.get_by_role("button", name="Live", exact=True)
        self.panel = desk.page.get_by_role("region", name="Live picture")
        self.keep = self.panel.get_by_role("button", name="Keep")

    def turn_on(self) -> None:
        self.switch.click()
        expect(self.switch).to_have_attribute("aria-pressed", "true")

    def picture(self) -> Locator:
        return self.panel.get_by_role("img")

    def job(self, but: str = "") -> str:
        """The job of the finished picture that is seen, once it is another than `but`."""
        look = """but => {
            const image = document.querySelector('.sl-live-picture');
            const done = [...document.querySelectorAll('.sl-live-foot button')].some(one => one.textContent === 'Keep' && !one.disabled);
            return done && image && image.dataset.job !== but ? image.dataset.job : null;
        }"""
        return self.desk.page.wait_for_function(look, arg=but, timeout=WAIT).json_value()

    def settled(self) -> str:
        """The job of the picture of all that was done."""
        expect(self.panel).to_have_attribute("aria-busy", "false", timeout=WAIT)
        return self.job()


@pytest.fixture
def live(desk: Desk) -> Iterator[Live]:
    live = Live(desk)
    yield live
    if live.switch.get_attribute("aria-pressed") == "true":
        live.switch.click()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(path)
    return path


def test_strokes_lead_to_pictures_and_one_is_kept(desk: Desk, live: Live, photo: Path) -> None:
    desk.tab("img2img")
    desk.choose_picture("img2img", photo)
    before, made = len(desk.program.ask("images?limit=200")["images"]), desk.film.count()
    live.turn_on()
    first = live.settled()
    page, stage = desk.page, desk.page.locator(".sl-painter-stage:visible")
    page.get_by_role("button", name="Colour #b23a1c").click()
    box = stage.bounding_box()
    assert box
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 40, middle[1] + 10, steps=5)
    during = live.job(but=first)  # while the stroke is under way
    page.mouse.move(middle[0] - 40, middle[1] + 40, steps=5)
    page.mouse.up()
    last = live.job(but=during)
    seeds = {desk.program.job(job)["request"]["seed"] for job in (during, last)}
    assert len(seeds) == 1
    assert len(desk.program.ask("images?limit=200")["images"]) == before
    expect(desk.film).to_have_count(made)
    expect(desk.go).to_be_visible()  # nothing waits in the queue that is shown
    kept = live.settled()
    live.keep.click()
    expect(live.panel.get_by_role("button", name="Kept")).to_be_disabled()
    expect(desk.film).to_have_count(made + 1)
    assert len(desk.program.ask("images?limit=200")["images"]) == before + 1
    job = desk.program.job(kept)
    assert (job["state"], job["request"]["num_inference_steps"]) == ("finished", 8)
    sent = desk.program.upload(job["request"]["image"]).convert("RGB")
    assert sent.getpixel((32, 32)) == (0xB2, 0x3A, 0x1C)
    live.switch.click()
    expect(live.panel).to_be_hidden()


def test_it_waits_for_a_mask_and_makes_it_in_full(desk: Desk, live: Live, photo: Path) -> None:
    desk.tab("inpaint")
    desk.choose_picture("inpaint", photo)
    desk.set("num_inference_steps", 12, "inpaint")
    live.turn_on()
    expect(live.panel).to_contain_text("Paint over a part of the picture")
    desk.page.locator(".sl-painter-stage:visible").click()
    quick = live.settled()
    assert desk.program.job(quick)["request"]["num_inference_steps"] == 8
    assert len(desk.program.job(quick)["images"]) == 0
    with desk.page.expect_response(lambda answer: answer.url.endswith("/api/v1/jobs") and answer.request.method == "POST") as answer:
        live.panel.get_by_role("button", name="Make it in full").click()
    done = desk.program.finished(answer.value.json()["id"])
    assert done["state"] == "finished", done["error"]
    assert done["request"]["num_inference_steps"] == 12
    assert done["request"]["seed"] == desk.program.job(quick)["request"]["seed"]
    desk.shows(done)
    desk.page.get_by_role("button", name="Canvas", exact=True).click()
    expect(live.picture()).to_be_visible()


def test_words_are_followed_too(desk: Desk, live: Live) -> None:
    desk.prompt.fill("a fox")
    live.turn_on()
    fox = live.settled()
    desk.prompt.fill("a frog")
    frog = live.job(but=fox)
    expect(live.picture()).to_have_attribute("alt", "Live picture: a frog", timeout=WAIT)
    assert desk.program.job(frog)["request"]["seed"] == desk.program.job(fox)["request"]["seed"]
    desk.generate()
    expect(live.switch).to_have_attribute("aria-pressed", "false")


def test_what_goes_wrong_is_told_once(desk: Desk, live: Live) -> None:
    desk.page.route("**/api/v1/jobs?live=*", lambda route: route.fulfill(status=422, json={"error": "The studio minds.", "field": None}))
    live.turn_on()
    notice = desk.page.get_by_role("alert")
    expect(notice).to_contain_text("The studio minds.")
    for words in ("a", "a f", "a frog"):
        with desk.page.expect_response("**/api/v1/jobs?live=*"):
            desk.prompt.fill(words)
    expect(notice).to_have_count(1)
    notice.get_by_role("button", name="Close this message").click()
    with desk.page.expect_response("**/api/v1/jobs?live=*"):
        desk.prompt.fill("a frog again")
    expect(notice).to_have_count(0)
    desk.page.unroute("**/api/v1/jobs?live=*")
    desk.prompt.fill("a frog in the grass")
    live.job()


def test_only_what_has_changed_is_sent_and_no_larger_than_it_is_used(desk: Desk, live: Live, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.linear_gradient("L").resize((800, 400)).convert("RGB").save(large)
    sent: list[str] = []
    desk.page.on("request", lambda asked: sent.append(asked.post_data_json["image"]) if "live=" in asked.url else None)
    desk.tab("img2img")
    desk.choose_picture("img2img", large)
    live.turn_on()
    first = live.settled()
    assert sent[-1] == desk.program.job(first)["request"]["image"], "the studio has the picture as it came"
    desk.page.get_by_role("button", name="Colour #b23a1c").click()
    desk.page.locator(".sl-painter-stage:visible").click()
    live.job(but=first)
    painted = desk.program.job(live.settled())["request"]
    assert sent[-1].startswith("data:image/png")
    used = desk.program.upload(painted["image"])
    assert (used.width, used.height) == (max(painted["width"], 2 * painted["height"]), max(painted["width"] // 2, painted["height"]))
    desk.prompt.fill("a fox")
    expect(live.picture()).to_have_attribute("alt", "Live picture: a fox", timeout=WAIT)
    assert sent[-1] == painted["image"]
