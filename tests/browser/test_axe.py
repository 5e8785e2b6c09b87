"""No serious finding of axe-core on any tab, on the models, the recipe card and the canvas, wide and narrow."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.desk import Desk, Program

TASKS = ("txt2img", "img2img", "inpaint", "upscale", "img2vid")
GRAVE = {"serious", "critical"}
WIDE = {"viewport": {"width": 1440, "height": 900}}
NARROW = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

# axe-core comes with the package: nothing is fetched. Nothing of Gradio's own markup needs to be left out.
Look = Callable[[str], None]


@pytest.fixture(params=[WIDE, NARROW], ids=["wide", "narrow"])
def context(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(**request.param, reduced_motion="reduce")  # words that fade in have less contrast
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture
def look(desk: Desk) -> Look:
    """Fails with what axe-core finds grave in the page as it is now."""

    def find(where: str) -> None:
        found = Axe().run(desk.page, options={"resultTypes": ["violations"]}).response["violations"]
        grave = [
            f"{where}: {each['id']} ({each['impact']}) at {node['target']}: {node['html'][:200]}"
            for each in found
            if each["impact"] in GRAVE
            for node in each["nodes"]
        ]
        assert not grave, "\n".join(grave)

    return find


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.radial_gradient("L").resize((64, 64)).convert("RGB").save(path)
    return path


def test_every_tab_with_its_folds_open(desk: Desk, look: Look) -> None:
    for task in TASKS:
        desk.page.get_by_role("tab", name=task).click()
        expect(desk.page.locator(f"#{task}-tab")).to_be_visible()
        heads = desk.page.locator(f".sl-fold-head[data-tab={task}]")
        for name in heads.evaluate_all("heads => heads.map((head) => head.dataset.fold)"):
            desk.unfold(name, task)
        look(task)


@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_the_canvas_and_what_opens_over_it(desk: Desk, look: Look, photo: Path, task: str) -> None:
    desk.tab(task)
    look(f"{task} without a picture")
    desk.choose_picture(task, photo)
    canvas = desk.page.locator(f".sl-canvas-of[data-task={task}]")
    canvas.get_by_role("button", name="Rectangle (R)").click()
    box = canvas.locator(".sl-painter-stage").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    desk.page.mouse.move(x - 40, y - 40)
    desk.page.mouse.down()
    desk.page.mouse.move(x + 40, y + 40, steps=4)
    desk.page.mouse.up()
    look(f"{task} with something painted")
    for name in ("Brush (B)", "Fill (G)", *(["Frame (F)", "More for the mask"] if task == "inpaint" else []), "Keys (?)"):
        canvas.get_by_role("button", name=name).click()
        look(f"{task}: {name}")


def test_a_picture_compared_its_recipe_and_what_failed(desk: Desk, look: Look, photo: Path, program: Program) -> None:
    desk.tab("img2img")
    desk.go.click()
    expect(desk.page.get_by_text("Choose a picture to start from.")).to_be_visible()
    look("a sentence at a field")
    desk.choose_picture("img2img", photo)
    desk.shows(program.finished(desk.generate()))
    look("a picture")
    desk.page.get_by_role("button", name="Compare").click()
    look("a picture compared")
    desk.page.get_by_role("button", name="Recipe").click()
    expect(desk.page.get_by_role("dialog")).to_be_visible()
    look("the recipe")


def test_the_models(desk: Desk, look: Look) -> None:
    desk.page.get_by_role("button", name="Models", exact=True).click()
    expect(desk.page.get_by_role("region", name="Models")).to_be_visible()
    look("the models")
    desk.page.locator(".sl-model-card").first.click()
    look("one model")
