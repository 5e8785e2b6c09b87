"""Maps that steer are painted: in the colours of their classes, sent with the request, and there again after a reload."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from pipelines.control.palette import ade20k
from tests.browser.desk import Desk
from tests.browser.test_control import added, photo, unit  # noqa: F401 - `photo` is a fixture
from tests.pipelines.control.toy_nets import shelf, toy_net

NAMED = dict(ade20k())
BLACK = (0, 0, 0)


@pytest.fixture
def nets(models: Path) -> Iterator[None]:
    shelf(models, toy_seg=toy_net(1), toy_scribble=toy_net(2))
    yield
    shutil.rmtree(models / "controlnet")


def card(desk: Desk) -> Locator:
    return desk.page.get_by_role("dialog", name="Control 1: paint")


def opened(desk: Desk, kind: str | None = None) -> Locator:
    """The canvas, ready to be painted on."""
    unit(desk, 1).get_by_role("button", name="Control 1: paint").click()
    if kind:
        card(desk).get_by_role("button", name=kind, exact=True).click()
    label = f'[aria-label="Canvas for {kind.lower()}"]' if kind else ""
    expect(card(desk).locator(f".sl-painter-filled{label}")).to_be_visible()
    return card(desk)


def stroke(desk: Desk, *points: tuple[float, float]) -> None:
    """Along points given as shares of the stage."""
    box = card(desk).locator(".sl-painter-stage").bounding_box()
    assert box
    for place, (x, y) in enumerate(points):
        desk.page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y, steps=6)
        if not place:
            desk.page.mouse.down()
    desk.page.mouse.up()


def done(desk: Desk) -> None:
    card(desk).get_by_role("button", name="Done").click()
    expect(card(desk)).to_have_count(0)
    expect(unit(desk, 1).get_by_role("img", name="Painted")).to_be_visible()


def colours(picture: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(map(int, colour)) for colour in np.asarray(picture.convert("RGB")).reshape(-1, 3)}


def test_two_classes_are_painted_sent_and_kept(nets: None, desk: Desk) -> None:
    desk.unfold("model")
    desk.pick("Checkpoint", "Toy")
    desk.unfold("control")
    made = added(desk)
    made.get_by_role("combobox").first.select_option("segmentation")
    opened(desk)
    assert card(desk).get_by_role("option").all_inner_texts()[:4] == ["sky", "tree", "grass", "person"]
    stroke(desk, (0.4, 0.35), (0.6, 0.3))
    card(desk).get_by_role("searchbox").fill("gras")
    card(desk).get_by_role("searchbox").press("Enter")
    stroke(desk, (0.4, 0.7), (0.6, 0.65))
    done(desk)
    expect(made.get_by_role("combobox", name="Control 1: ControlNet")).to_have_value("toy_seg")
    expect(unit(desk, 1).get_by_role("button", name="Control 1: paint")).to_be_focused()

    desk.prompt.fill("a meadow")
    job = desk.program.finished(desk.generate())
    assert job["state"] == "finished", job["error"]
    [sent] = job["request"]["modifiers"]["control"]["units"]
    assert (sent["preprocessor"], sent["model"]) == ("segmentation", "toy_seg") and "painting" not in sent
    painted = desk.program.upload(sent["image"])
    assert painted.size == (64, 64) and colours(painted) == {NAMED["sky"], NAMED["grass"], BLACK}

    desk.reload()
    desk.unfold("control")
    expect(unit(desk, 1).get_by_role("img", name="Painted")).to_be_visible()
    opened(desk)
    card(desk).get_by_role("option", name="person").click()
    stroke(desk, (0.5, 0.5))
    done(desk)
    [again] = desk.program.finished(desk.generate())["request"]["modifiers"]["control"]["units"]
    assert colours(desk.program.upload(again["image"])) == {NAMED["sky"], NAMED["grass"], NAMED["person"], BLACK}


def test_lines_are_painted_over_the_picture_by_keys_alone(nets: None, desk: Desk, photo: Path) -> None:  # noqa: F811
    desk.unfold("model")
    desk.pick("Checkpoint", "Toy")
    desk.unfold("control")
    made = added(desk, photo)
    made.get_by_role("combobox").first.select_option("scribble")
    paint = made.get_by_role("button", name="Control 1: paint")
    paint.focus()
    paint.press("Enter")
    expect(card(desk).locator(".sl-painter-stage")).to_be_focused()
    keys = desk.page.keyboard
    desk.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")  # laid out
    for key in ("[", "[", "Enter", "Shift+ArrowRight", "Shift+ArrowDown"):
        keys.press(key)
    expect(card(desk).get_by_role("button", name="Clear control")).to_be_enabled()
    keys.press("Escape")
    expect(card(desk)).to_have_count(0)
    expect(made.get_by_role("img", name="steers.png")).to_be_visible()  # closed, nothing is taken over
    expect(paint).to_be_focused()
    paint.press("Enter")
    expect(card(desk).get_by_role("button", name="Undo")).to_be_visible()
    expect(card(desk).get_by_role("button", name="Clear control")).to_be_enabled()  # but kept
    keys.press("Control+Enter")
    expect(made.get_by_role("img", name="Painted")).to_be_visible()
    expect(made.get_by_role("combobox").first).to_have_value("none")
    expect(made.get_by_role("combobox", name="Control 1: ControlNet")).to_have_value("toy_scribble")
    desk.prompt.fill("a drawing")
    [sent] = desk.program.finished(desk.generate())["request"]["modifiers"]["control"]["units"]
    assert colours(desk.program.upload(sent["image"])) == {BLACK, (255, 255, 255)}


def test_without_a_controlnet_colours_are_painted_that_steer(desk: Desk, photo: Path) -> None:  # noqa: F811
    desk.unfold("control")
    made = added(desk, photo)
    opened(desk)
    expect(card(desk).get_by_role("button", name="Colours")).to_have_attribute("aria-pressed", "true")
    card(desk).get_by_label("Colour", exact=True).fill("#12ff34")
    stroke(desk, (0.5, 0.5), (0.55, 0.5))
    done(desk)
    expect(made.get_by_role("combobox").first).to_have_value("reference")
    desk.prompt.fill("in these colours")
    job = desk.program.finished(desk.generate())
    assert job["state"] == "finished", job["error"]
    picture = desk.program.upload(job["request"]["modifiers"]["control"]["units"][0]["image"])
    assert (0x12, 0xFF, 0x34) in colours(picture) and len(colours(picture)) > 20  # the photograph is still there around it

    opened(desk, "Areas")
    expect(card(desk).get_by_role("searchbox")).to_be_visible()
    stroke(desk, (0.5, 0.5))
    done(desk)
    expect(made.get_by_text("None is here")).to_be_attached()


def test_a_map_that_was_made_elsewhere_is_gone_on_with(desk: Desk, tmp_path: Path) -> None:
    desk.unfold("control")
    drawn = Image.new("RGB", (128, 128), NAMED["sky"])
    drawn.paste(NAMED["sea"], (0, 100, 128, 128))
    drawn.save(tmp_path / "steers.png")
    made = added(desk, tmp_path / "steers.png")
    made.get_by_role("combobox").first.select_option("segmentation")
    opened(desk)
    stroke(desk, (0.5, 0.4))
    card(desk).get_by_role("option", name="tree", exact=True).click()
    stroke(desk, (0.5, 0.2))
    with desk.page.expect_response(lambda answer: answer.url.endswith("/uploads")) as answer:
        done(desk)
    assert colours(desk.program.upload(answer.value.json()["id"])) == {NAMED["sky"], NAMED["sea"], NAMED["tree"]}


def test_another_picture_ends_what_was_painted(desk: Desk, photo: Path) -> None:  # noqa: F811
    desk.unfold("control")
    made = added(desk)
    opened(desk, "Lines")
    stroke(desk, (0.4, 0.4), (0.6, 0.6))
    done(desk)
    with desk.page.expect_file_chooser() as choosing:
        made.get_by_role("button", name="choose a picture").click()
    choosing.value.set_files(photo)
    expect(made.get_by_role("img", name="steers.png")).to_be_visible()
    kept = """() => new Promise((done) => {
      indexedDB.open("safelight", 1).onsuccess = ({ target }) => {
        const asked = target.result.transaction("blobs").objectStore("blobs").getAllKeys();
        asked.onsuccess = () => done(asked.result.filter((name) => name.startsWith("paint ")));
      };
    })"""
    desk.program.until(lambda: desk.page.evaluate(kept) == [])
    opened(desk)
    expect(card(desk).get_by_role("button", name="Undo")).to_be_disabled()
