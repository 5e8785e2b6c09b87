"""The page as Gradio will serve it: tabs, wires, and no handler of our own behind any of them."""

import json
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

import ui
from pipelines.names import SCHEDULERS, SCHEDULES
from pipelines.parameters import placed
from pipelines.request import Txt2Img
from ui.layout import Tab, column
from ui.page import build
from ui.theme import STYLES, look

TASKS = ("txt2img", "img2img", "inpaint", "upscale", "img2vid")


def models(**changes: Any) -> dict[str, Any]:
    toy = {
        "name": "toy",
        "title": "<b>Toy</b>",
        "broken": None,
        "tasks": ["txt2img", "img2img", "inpaint"],
        "native_size": [64, 64],
        "recommended": {"num_inference_steps": 7, "width": 64, "height": 64},
        "example_prompts": [],
    }
    return {"default": "toy", "checkpoints": [toy], "vaes": [], "upscalers": [], **changes}


def studio(**changes: Any) -> Any:
    """What the page asks of a studio while it is built: three questions."""
    schedulers = {
        "schedulers": [
            {"name": name, "title": spec.title, "schedules": ["automatic", *spec.schedules]} for name, spec in SCHEDULERS.items()
        ],
        "schedules": [{"name": name, "title": title} for name, title in SCHEDULES.items()],
    }
    return SimpleNamespace(modifiers={}, models=lambda: models(**changes), schedulers=lambda: schedulers)


@pytest.fixture(scope="module")
def page() -> gr.Blocks:
    return build(studio())


def components(page: gr.Blocks) -> dict[str, Any]:
    return {each["props"]["elem_id"]: each for each in page.get_config_file()["components"] if each["props"].get("elem_id")}


class Fields(HTMLParser):
    found: str = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found = dict(attributes).get("data-fields") or self.found


def described(page: gr.Blocks) -> dict[str, Any]:
    """The description of the controls as the page's script will read it."""
    parser = Fields()
    for each in page.get_config_file()["components"]:
        if "data-fields" in str(each["props"].get("value")):
            parser.feed(each["props"]["value"])
    return json.loads(parser.found)


def test_no_event_runs_anything_on_the_server(page: gr.Blocks) -> None:
    events = page.fns.values()
    assert events
    assert all(event.fn is None and event.js for event in events)


def test_a_tab_for_each_task_with_the_same_prompt_first_where_words_are_told(page: gr.Blocks) -> None:
    known = components(page)
    for task in TASKS:
        assert known[f"{task}-tab"]["props"]["label"] == task
        if task == "img2vid":
            assert f"{task}-prompt" not in known
        else:
            assert known[f"{task}-prompt"]["props"]["label"] == "Prompt"
    assert "img2img-strength" in known
    assert "txt2img-strength" not in known


def test_the_script_is_told_the_controls_in_the_order_of_the_events(page: gr.Blocks) -> None:
    tabs = described(page)["tabs"]
    config = page.get_config_file()
    ids = {each["id"]: each["props"].get("elem_id") for each in config["components"]}
    wired = {tuple(ids[each] for each in event["inputs"]) for event in config["dependencies"]}
    loaded = [[ids[each] for each in event["outputs"]] for event in config["dependencies"] if event["targets"][0][1] == "load"]
    elements = {task: [tabs[task]["elements"][key] for key in tabs[task]["keys"]] for task in TASKS}
    for task in TASKS:
        assert tuple(elements[task]) in wired
    assert loaded == [[element for task in TASKS for element in elements[task]]]


def test_first_values_are_what_the_default_checkpoint_recommends(page: gr.Blocks) -> None:
    defaults = described(page)["tabs"]["txt2img"]["defaults"]
    assert (defaults["checkpoint"], defaults["num_inference_steps"], defaults["width"]) == ("toy", 7, 64)
    assert defaults["guidance_scale"] == Txt2Img.model_fields["guidance_scale"].default


def test_names_of_models_cannot_break_out_of_the_page(page: gr.Blocks) -> None:
    values = [str(each["props"].get("value")) for each in page.get_config_file()["components"] if each["type"] == "html"]
    assert values
    assert not any("<b>" in value for value in values)


def test_a_page_without_any_checkpoint_still_opens() -> None:
    page = build(studio(default=None, checkpoints=[]))
    assert components(page)["txt2img-checkpoint"]["props"].get("value") is None


def test_an_extension_adds_a_tab_of_its_own_requests() -> None:
    class Poster(Txt2Img):
        headline: str = placed("", "front", "Headline", "Written over the picture.")

    page = build(studio(), [Tab("A poster", Poster, column)])
    known = components(page)
    assert known["a-poster-headline"]["props"]["label"] == "Headline"
    assert described(page)["tabs"]["a-poster"]["task"] == "txt2img"
    assert "txt2img-headline" not in known


def test_the_head_loads_our_own_files_only_and_all_of_them_exist() -> None:
    static = Path(ui.__file__).parent / "static"
    head = look()["head"]
    assert "//" not in head.replace("</", "<")
    assert (static / "app.js").is_file()
    assert all((static / name).is_file() for name in STYLES)


def test_fonts_are_bundled() -> None:
    theme = look()["theme"]
    assert not [sheet for sheet in theme._stylesheets if sheet.startswith("http")]
