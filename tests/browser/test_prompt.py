"""The prompt box tells the truth, its keys change weights and order, names are offered, and one click can be many jobs."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch
from playwright.sync_api import Locator, expect

from tests.browser.desk import Desk


@pytest.fixture
def words(models: Path) -> Iterator[Path]:
    """A LoRA, an embedding and a wildcard in the models folder, while the studio runs."""
    for folder in ("loras", "embeddings", "wildcards"):
        (models / folder).mkdir(exist_ok=True)
    safetensors.torch.save_file({"lora_unet_mid.lora_up.weight": torch.zeros(4, 2)}, models / "loras" / "inkwell.safetensors")
    (models / "loras" / "inkwell.json").write_text(json.dumps({"activation text": "ink", "preferred weight": 0.7}))
    safetensors.torch.save_file({"emb_params": torch.zeros(2, 16)}, models / "embeddings" / "duskfall.safetensors")
    (models / "wildcards" / "tame.txt").write_text("cat\ndog\nhen\n")
    yield models
    for file in ("loras/inkwell.safetensors", "loras/inkwell.json", "embeddings/duskfall.safetensors", "wildcards/tame.txt"):
        (models / file).unlink()


def length(desk: Desk) -> Locator:
    return desk.page.locator("[data-mount=prompt-tools][data-tab=txt2img][data-field=prompt] .sl-prompt-length")


def selected(desk: Desk) -> str:
    return desk.prompt.evaluate("area => area.value.slice(area.selectionStart, area.selectionEnd)")


def test_tokens_are_counted_and_what_is_amiss_leads_to_its_place(desk: Desk) -> None:
    desk.prompt.fill("cat")
    expect(length(desk)).to_have_text("1 of 75 tokens")
    desk.prompt.fill("a " * 80)
    expect(length(desk)).to_have_text("80 tokens in 2 chunks (75 + 5)")
    desk.prompt.fill("a (cat <lora:none:1>")
    missing = desk.page.get_by_role("button", name="There is no LoRA named 'none'.")
    expect(missing).to_be_visible()
    missing.click()
    assert selected(desk) == "<lora:none:1>"
    desk.page.get_by_role("button", name="This ( has no partner.").click()
    assert selected(desk) == "("


def test_how_a_prompt_is_read_can_be_seen(desk: Desk) -> None:
    desk.set("num_inference_steps", 10)
    desk.prompt.fill("a (cat:1.3) on [sand:snow:0.4] \\(photo\\)")
    desk.page.get_by_role("button", name="Show how it is read").click()
    reading = desk.page.locator(".sl-prompt-reading").first
    expect(reading.locator("mark.sl-reading-more")).to_have_text("cat")
    expect(reading.get_by_role("listitem").filter(has_text="steps 1–4")).to_contain_text("sand")
    expect(reading.get_by_role("listitem").filter(has_text="steps 5–10")).to_contain_text("snow")


def test_keys_change_the_weight_at_the_caret_and_can_be_undone(desk: Desk) -> None:
    desk.prompt.fill("a red cat")
    desk.prompt.evaluate("area => area.setSelectionRange(3, 3)")
    desk.prompt.press("Control+ArrowUp")
    expect(desk.prompt).to_have_value("a (red:1.1) cat")
    desk.prompt.press("Control+ArrowUp")
    expect(desk.prompt).to_have_value("a (red:1.2) cat")
    assert selected(desk) == "red"
    for _ in range(3):
        desk.prompt.press("Control+ArrowDown")
    expect(desk.prompt).to_have_value("a (red:0.9) cat")
    desk.prompt.press("Control+ArrowUp")
    expect(desk.prompt).to_have_value("a red cat")
    desk.prompt.press("Control+z")
    expect(desk.prompt).to_have_value("a (red:0.9) cat")
    desk.prompt.fill("<lora:ink:0.8>")
    desk.prompt.evaluate("area => area.setSelectionRange(8, 8)")
    desk.prompt.press("Control+ArrowUp")
    expect(desk.prompt).to_have_value("<lora:ink:0.85>")
    desk.prompt.fill("((( )")
    desk.prompt.press("Control+ArrowUp")  # nothing to weigh: nothing happens


def test_keys_move_the_phrase_at_the_caret(desk: Desk) -> None:
    desk.prompt.fill("a cat, (red, shiny:1.2), snow")
    desk.prompt.evaluate("area => area.setSelectionRange(2, 2)")
    desk.prompt.press("Alt+ArrowRight")
    expect(desk.prompt).to_have_value("(red, shiny:1.2), a cat, snow")
    desk.prompt.press("Alt+ArrowRight")
    expect(desk.prompt).to_have_value("(red, shiny:1.2), snow, a cat")
    desk.prompt.press("Alt+ArrowRight")  # it is the last
    desk.prompt.press("Alt+ArrowLeft")
    expect(desk.prompt).to_have_value("(red, shiny:1.2), a cat, snow")
    assert selected(desk) == "a cat"


@pytest.mark.parametrize(
    ("typed", "offered", "then"),
    [("a <ink", "inkwell", "a <lora:inkwell:0.7>"), ("a __ta", "tame", "a __tame__"), ("a dus", "duskfall", "a duskfall")],
)
def test_names_are_offered_while_one_types(desk: Desk, words: Path, typed: str, offered: str, then: str) -> None:
    desk.reload()
    desk.prompt.focus()
    with desk.page.expect_response(re.compile("/api/v1/words")):
        desk.prompt.press_sequentially(typed)
    desk.prompt.press_sequentially("x")
    desk.prompt.press("Backspace")
    expect(desk.page.get_by_role("option", name=offered)).to_be_visible()
    desk.prompt.press("Enter")
    expect(desk.prompt).to_have_value(then)
    expect(desk.page.get_by_role("listbox", name="Names that fit")).to_be_hidden()


def test_one_click_can_be_many_jobs(desk: Desk, words: Path) -> None:
    desk.prompt.fill("a cat|red|big")
    desk.unfold("words")
    desk.page.get_by_label("Prompt matrix").check()
    with desk.page.expect_response(re.compile("/api/v1/batches")) as answer:
        desk.go.click()
    prompts = [job["request"]["prompt"] for job in answer.value.json()["jobs"]]
    assert prompts == ["a cat", "a cat, red", "a cat, big", "a cat, red, big"]
    desk.program.until(lambda: all(desk.program.job(job["id"])["state"] == "finished" for job in answer.value.json()["jobs"]))
    desk.reload()
    desk.unfold("words")
    expect(desk.page.get_by_label("Prompt matrix")).to_be_checked()
    desk.page.get_by_label("Prompt matrix").uncheck()
    desk.prompt.fill("a __tame__")
    desk.set("num_images_per_prompt", 3)
    with desk.page.expect_response(re.compile("/api/v1/batches")) as answer:
        desk.go.click()
    requests = [job["request"] for job in answer.value.json()["jobs"]]
    assert len({request["seed"] for request in requests}) == 3
    assert all(request["prompt"] in ("a cat", "a dog", "a hen") and request["template"] == "a __tame__" for request in requests)


def test_a_wrong_line_is_told_at_the_list(desk: Desk) -> None:
    desk.unfold("words")
    area = desk.page.get_by_role("textbox", name="Prompts from a list")
    area.fill('a cat\n--prompt "an owl" --stps 10')
    desk.go.click()
    expect(desk.page.locator(".sl-many-lines").get_by_role("alert")).to_contain_text("Line 2: there is no option '--stps'")
    area.fill("")
    expect(desk.page.locator(".sl-why")).to_have_count(0)


def test_what_the_box_says_already_is_not_said_again(desk: Desk) -> None:
    desk.prompt.fill("a cat <lora:none:1>")
    missing = desk.page.get_by_role("button", name="There is no LoRA named 'none'.")
    expect(missing).to_be_visible()
    desk.go.click()
    expect(missing).to_have_class(re.compile("sl-loud"))
    assert selected(desk) == "<lora:none:1>"
    expect(desk.page.get_by_text(re.compile("There is no lora named", re.IGNORECASE))).to_have_count(1)
    desk.prompt.fill("a cat")
    expect(missing).to_have_count(0)


def test_a_style_gets_its_name_in_the_page(desk: Desk) -> None:
    desk.prompt.fill("an ink drawing")
    chooser = desk.page.get_by_role("combobox", name="Put a style into the prompt")
    chooser.select_option(label="Keep this prompt as a style…")
    name = desk.page.get_by_role("textbox", name="A name for the style")
    expect(name).to_be_focused()
    name.press("Enter")
    expect(desk.page.get_by_role("alert").filter(has_text="Give it a name first.")).to_be_visible()
    name.fill("Inkwell")
    name.press("Enter")
    expect(name).to_be_hidden()
    desk.prompt.fill("")
    chooser.select_option("Inkwell")
    expect(desk.prompt).to_have_value("an ink drawing")
    chooser.select_option(label="Keep this prompt as a style…")
    name.fill("Inkwell")
    expect(desk.page.get_by_role("button", name="Replace")).to_be_visible()
    name.press("Escape")
    expect(name).to_be_hidden()
    desk.page.evaluate("async () => { await fetch('api/v1/styles/Inkwell', { method: 'DELETE' }); }")


def test_wildcards_are_counted_as_what_they_become(desk: Desk, words: Path) -> None:
    desk.reload()
    desk.prompt.fill("a {cat|big red cat} __tame__")
    expect(length(desk)).to_have_text(re.compile(r"^\d+–\d+ tokens$"))


def test_the_pictures_of_a_matrix_make_a_grid(desk: Desk) -> None:
    desk.prompt.fill("a cat|red")
    desk.set("num_inference_steps", 2)
    desk.unfold("words")
    desk.page.get_by_label("Prompt matrix").check()
    desk.go.click()
    desk.page.get_by_role("button", name="Show as a grid").click()
    grid = desk.page.get_by_role("dialog", name="Grid of these pictures")
    expect(grid.get_by_role("img", name="Grid of 2 pictures")).to_be_visible()
    assert grid.locator("img").evaluate("async image => { await image.decode(); return image.naturalWidth; }") > 256
    with desk.page.expect_download() as saved:
        grid.get_by_role("link", name="Download").click()
    assert saved.value.suggested_filename == "grid.png"
    desk.page.keyboard.press("Escape")
    expect(grid).to_be_hidden()
    desk.page.get_by_role("button", name="Grid of 2").click()
    expect(grid).to_be_visible()
    grid.get_by_role("button", name="Close").click()
    desk.page.get_by_label("Prompt matrix").uncheck()


def test_what_is_left_to_chance_is_shown_as_what_it_is(desk: Desk, words: Path) -> None:
    desk.prompt.fill("a __tame__ in {snow|{sea|rain}|sand}")
    desk.page.get_by_role("button", name="Show how it is read").click()
    reading = desk.page.locator(".sl-prompt-reading").first
    expect(reading.locator(".sl-reading-choices li")).to_have_text(["one of 3 from tame", "one of 3 variants", "one of 2 variants"])
    expect(reading.locator("mark.sl-reading-choice").first).to_have_text("__tame__")


def test_lists_say_how_many_more_there_are(desk: Desk) -> None:
    desk.set("num_inference_steps", 30)
    desk.prompt.fill(" ".join(f"[cat:dog{step}:{step}] (w{step}:1.{step % 9 + 1})" for step in range(1, 25)))
    desk.page.get_by_role("button", name="Show how it is read").click()
    reading = desk.page.locator(".sl-prompt-reading").first
    for kind in ("weights", "steps"):
        rows = reading.locator(f".sl-reading-{kind} li")
        expect(rows).to_have_count(13)
        expect(rows.last).to_have_text(re.compile(r"and \d+ more"))
