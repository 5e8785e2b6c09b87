"""While the page opens it says so, what is typed already counts, and it does not stay silent for ever."""

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import watch
from tests.browser.desk import Desk, Program

SAID = """(place) => {
    const style = getComputedStyle(document.body, place);
    return style.content === 'none' || style.visibility === 'hidden' ? '' : style.content;
}"""
LATER = "(ms) => document.getAnimations().forEach((each) => (each.currentTime = ms))"


def said(page: Page) -> str:
    return str(page.evaluate(SAID, "::before")) + str(page.evaluate(SAID, "::after"))


@pytest.mark.parametrize("width", [1440, 390])
def test_a_page_that_is_slow_to_open(context: BrowserContext, program: Program, problems: list[str], width: int) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 844})
    watch(page, program, problems)
    held: list[Route] = []
    page.route("**/static/app.js", lambda route: held.append(route))
    page.goto(program.url, wait_until="commit")
    desk = Desk(page, program)
    desk.prompt.fill("typed before the page was ready")
    page.evaluate(LATER, 2_000)
    assert "Opening" in said(page)
    assert "reload the page" not in said(page)
    page.evaluate(LATER, 21_000)
    assert "reload the page" in said(page)
    held[0].continue_()
    desk.ready()
    assert said(page) == ""
    expect(desk.prompt).to_have_value("typed before the page was ready")
    assert desk.program.finished(desk.generate())["request"]["prompt"] == "typed before the page was ready"
    assert problems == []


def test_what_was_kept_cannot_be_written_over_before_it_is_there(desk: Desk) -> None:
    desk.tab("img2img")
    desk.prompt.fill("a long prompt that took an hour")
    desk.program.until(lambda: "took an hour" in desk.page.evaluate("localStorage['safelight.form']"))
    page = desk.page.context.new_page()
    held: list[Route] = []
    page.route("**/static/app.js", lambda route: held.append(route))
    page.goto(desk.program.url, wait_until="commit")
    empty = page.locator("#txt2img-prompt textarea")
    empty.wait_for(state="attached")
    expect(empty).to_be_hidden()
    held[0].continue_()
    again = Desk(page, desk.program)
    again.ready()
    expect(again.prompt).to_have_value("a long prompt that took an hour")
    expect(page.locator("#img2img-prompt textarea")).to_be_visible()
