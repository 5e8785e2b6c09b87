"""The models in the page: found, looked at, used, noted, fetched; by mouse, by key, and on a narrow page."""

import json
import pickle
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect
from safetensors.numpy import load_file, save_file

from tests.browser.conftest import watch
from tests.browser.desk import Desk, Program
from tests.jobs.elsewhere import Elsewhere, weights

ODD = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module", autouse=True)
def shelf(models: Path) -> Iterator[Path]:
    """LoRAs and an embedding beside the checkpoints; models come and go while the program runs."""
    loras, embeddings = models / "loras", models / "embeddings"
    for folder in (loras, embeddings):
        folder.mkdir()
    for name in ("ink_wash", "woodcut", ODD):
        (loras / f"{name}.safetensors").write_bytes(weights(fill=len(name)))
    Image.new("RGB", (300, 300), "teal").save(loras / "ink_wash.preview.png")
    told = {"description": "Quiet pictures.", "activation text": "ink wash style, fine lines", "preferred weight": 0.8}
    (loras / "ink_wash.json").write_text(json.dumps(told))
    (embeddings / "easyhands.safetensors").write_bytes(weights({"emb_params": (2, 768)}))
    yield models
    for path in [*loras.iterdir(), *embeddings.iterdir()]:
        path.unlink()
    loras.rmdir()
    embeddings.rmdir()


def room(page: Page) -> Locator:
    return page.get_by_role("region", name="Models")


def card(page: Page, key: str) -> Locator:
    return page.locator(f'.sl-model-card[data-key="{key}"]')


def opened(page: Page) -> Locator:
    page.get_by_role("button", name="Models", exact=True).click()
    expect(card(page, "lora ink_wash.safetensors")).to_be_visible()
    return room(page)


def test_what_is_there_is_found(desk: Desk) -> None:
    page = desk.page
    opened(page)
    assert page.locator(".sl-model-card[data-key='lora ink_wash.safetensors'] img").evaluate("image => image.decode().then(() => 1)") == 1
    expect(card(page, "checkpoint broken.safetensors")).to_contain_text("cannot be used")
    page.get_by_role("button", name="LoRAs 4").click()  # the one that comes with the studio among them
    expect(page.locator(".sl-model-card")).to_have_count(4)
    expect(page.locator(".sl-model-card strong", has_text=ODD)).to_have_count(1)  # as text, never as markup
    page.get_by_role("searchbox", name="Search models").fill("FINE lines")
    expect(page.locator(".sl-model-card")).to_have_count(1)
    page.get_by_role("searchbox", name="Search models").fill("no such thing")
    expect(page.get_by_text("Nothing fits.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".sl-model-card")).to_have_count(4)
    page.keyboard.press("Escape")
    expect(room(page)).to_be_hidden()
    expect(page.get_by_role("button", name="Models", exact=True)).to_be_focused()


def test_a_lora_goes_to_the_caret(desk: Desk) -> None:
    page = desk.page
    desk.prompt.fill("a fox, at night")
    desk.prompt.evaluate("area => area.setSelectionRange(5, 5)")
    opened(page)
    card(page, "lora ink_wash.safetensors").click()
    page.get_by_role("button", name="Add to prompt").click()
    expect(desk.prompt).to_have_value("a fox <lora:ink_wash:0.8> ink wash style, at night")
    page.get_by_role("button", name="Add to prompt").click()
    expect(page.get_by_role("status").filter(has_text="is in the prompt already").first).to_be_visible()
    expect(desk.prompt).to_have_value("a fox <lora:ink_wash:0.8> ink wash style, at night")
    page.get_by_role("button", name="fine lines").click()
    expect(desk.prompt).to_have_value("a fox <lora:ink_wash:0.8> ink wash style, fine lines, at night")
    desk.prompt.focus()
    page.keyboard.press("Control+z")
    expect(desk.prompt).to_have_value("a fox <lora:ink_wash:0.8> ink wash style, at night")
    card(page, "embedding easyhands.safetensors").click()
    page.get_by_role("button", name="Add to negative prompt").click()
    desk.unfold("negative")
    expect(page.get_by_role("textbox", name="Negative prompt", exact=True)).to_have_value("easyhands")
    desk.reload()
    expect(desk.prompt).to_have_value("a fox <lora:ink_wash:0.8> ink wash style, at night")
    desk.prompt.fill("")


def test_a_checkpoint_is_used_loaded_and_let_go(desk: Desk) -> None:
    page, program = desk.page, desk.program
    opened(page)
    card(page, "checkpoint b-toy").click()
    page.get_by_role("button", name="Use", exact=True).click()
    expect(page.locator(".sl-model strong")).to_have_text("Other toy")
    expect(desk.number("num_inference_steps")).to_have_value("9")
    page.get_by_role("button", name="Load now").click()
    expect(page.get_by_role("button", name="Unload")).to_be_visible(timeout=60_000)
    assert "b-toy" in program.ask("health")["loaded"]
    page.get_by_role("button", name="Unload").click()
    expect(page.get_by_role("button", name="Load now")).to_be_visible()
    program.until(lambda: "b-toy" not in program.ask("health")["loaded"])


def test_notes_and_a_preview_stay(desk: Desk, shelf: Path) -> None:
    page = desk.page
    desk.program.finished(desk.program.submit(prompt="x")["id"])
    desk.reload()
    opened(page)
    card(page, "lora woodcut.safetensors").click()
    notes = page.get_by_role("textbox", name="Notes")
    notes.fill("only for evenings")
    expect(page.get_by_text("kept", exact=True)).to_be_visible()
    page.get_by_role("button", name="Use the picture on the stage as preview").click()
    expect(page.get_by_role("button", name="Remove the preview")).to_be_visible()
    assert json.loads((shelf / "loras" / "woodcut.safelight.json").read_text()) == {"notes": "only for evenings"}
    assert (shelf / "loras" / "woodcut.safelight.png").is_file()
    expect(page.locator(".sl-model-details code").first).to_have_text(
        desk.program.ask("library/lora/woodcut.safetensors")["short_hash"] or "", timeout=20_000
    )
    desk.reload()
    opened(page)
    card(page, "lora woodcut.safetensors").click()
    expect(notes).to_have_value("only for evenings")
    page.get_by_role("button", name="Remove the preview").click()
    expect(page.get_by_role("button", name="Remove the preview")).to_be_hidden()


def test_the_keyboard_is_enough(desk: Desk) -> None:
    page = desk.page
    desk.prompt.focus()
    page.keyboard.press("Alt+m")
    expect(page.get_by_role("searchbox", name="Search models")).to_be_focused()
    expect(card(page, "lora ink_wash.safetensors")).to_be_visible()
    page.locator(".sl-model-card").first.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Home")
    expect(page.locator(".sl-model-card").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name="Model")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".sl-model-card").first).to_be_focused()
    page.keyboard.press("Alt+m")
    expect(room(page)).to_be_hidden()
    expect(desk.prompt).to_be_focused()


def test_generate_goes_back_to_the_stage(desk: Desk) -> None:
    opened(desk.page)
    id = desk.generate()
    expect(room(desk.page)).to_be_hidden()
    desk.shows(desk.program.finished(id))


def test_a_download_is_watched_until_it_is_here(desk: Desk, hub: Elsewhere, shelf: Path) -> None:
    page = desk.page
    hub.repos["artist/linen-lora"] = {"linen.safetensors": weights(fill=3), "old.ckpt": b"x"}
    opened(page)
    page.get_by_role("button", name="Download", exact=True).click()
    source = page.get_by_role("textbox", name="From the Hugging Face Hub, or from an address")
    source.fill("https://localhost:1/x.safetensors")
    source.press("Enter")
    expect(page.get_by_text("localhost cannot be reached; downloads need a network.")).to_be_visible()
    source.fill("artist/linen-lora")
    page.get_by_role("button", name="Look", exact=True).click()
    expect(page.get_by_text("1 file that could run code is left out.")).to_be_visible()
    expect(page.get_by_role("combobox", name="Kind")).to_have_value("lora")
    place = "/artist/linen-lora/resolve/0123456789abcdef0123456789abcdef01234567/linen.safetensors"  # fmt: skip
    hub.slow.add(place)
    page.get_by_role("button", name="Download linen.safetensors").click()
    expect(page.get_by_role("progressbar", name="linen.safetensors")).to_be_visible()
    hub.held.set()
    expect(page.get_by_text("linen.safetensors is here.").first).to_be_visible()
    placed = Path(desk.program.ask("library/lora/linen.safetensors")["path"])
    try:
        page.get_by_role("button", name="LoRAs 5").click()
        expect(card(page, "lora linen.safetensors")).to_be_visible()
        page.get_by_role("button", name="Download", exact=True).click()
        page.get_by_role("button", name="Remove from the list linen.safetensors").click()
        expect(page.locator(".sl-downloads li")).to_have_count(0)
    finally:
        for path in (placed, placed.with_suffix(".safelight.json")):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # others may lie there
            placed.parent.rmdir()


def test_on_a_narrow_page_it_covers_everything(context: BrowserContext, program: Program, problems: list[str]) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    watch(page, program, problems)
    desk = Desk(page, program)
    desk.open()
    desk.prompt.fill("a fox")
    opened(page)
    box = room(page).bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 390, 844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    card(page, "lora ink_wash.safetensors").click()
    expect(card(page, "lora ink_wash.safetensors")).to_be_hidden()
    page.get_by_role("button", name="Add to prompt").click()
    expect(page.get_by_role("paragraph").filter(has_text="<lora:ink_wash:0.8> ink wash style is in the prompt now.").first).to_be_visible()
    page.get_by_role("button", name="Back to the list").click()
    expect(card(page, "lora ink_wash.safetensors")).to_be_focused()
    page.get_by_role("button", name="Close models").click()
    expect(desk.prompt).to_have_value("a fox <lora:ink_wash:0.8> ink wash style")
    desk.prompt.fill("")
    assert problems == []


def test_the_page_starts_without_it(desk: Desk) -> None:
    asked: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url))
    desk.reload()
    late = ("/static/library.", "/static/library_details", "/static/library_downloads", "api/v1/library")
    assert not [url for url in asked if any(part in url for part in late)]


def test_loading_waits_for_jobs_and_says_so(desk: Desk) -> None:
    page = desk.page
    desk.program.submit(num_inference_steps=150, num_images_per_prompt=8, width=256, height=256)
    opened(page)
    card(page, "checkpoint b-toy").click()
    page.get_by_role("button", name="Load now").click()
    expect(page.get_by_role("button", name="Waits for 1 job")).to_be_disabled()
    desk.program.settle()
    page.get_by_role("button", name="Unload").click(timeout=60_000)
    expect(page.get_by_role("button", name="Load now")).to_be_visible()


def test_what_a_loaded_checkpoint_holds_is_shown(desk: Desk) -> None:
    page = desk.page
    opened(page)
    card(page, "checkpoint b-toy").click()
    page.get_by_role("button", name="Load now").click()
    held = page.locator(".sl-held")
    expect(held).to_contain_text("Denoiser")
    expect(held).to_contain_text("Everything is in main memory.")
    page.get_by_role("button", name="Unload").click()
    expect(held).to_be_hidden()


def test_a_checkpoint_that_cannot_be_read_says_why(desk: Desk, shelf: Path, problems: list[str]) -> None:
    damaged = shelf / "checkpoints" / "damaged"
    shutil.copytree(shelf / "checkpoints" / "b-toy", damaged)
    (damaged / "safelight.json").unlink()
    weights_file = damaged / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights_file)
    tensors["post_quant_conv.bias"][0] = float("nan")
    save_file(tensors, weights_file, {"format": "pt"})
    page = desk.page
    try:
        opened(page)
        card(page, "checkpoint damaged").click()
        page.get_by_role("button", name="Load now").click()
        expect(page.get_by_role("alert").filter(has_text="not finite")).to_be_visible()
        expect(page.get_by_role("button", name="Load now")).to_be_enabled()
    finally:
        shutil.rmtree(damaged)


def test_a_pickle_is_converted(desk: Desk, shelf: Path) -> None:
    import torch  # here, so that collecting these tests stays quick

    path = shelf / "embeddings" / "old.pt"
    torch.save({"string_to_param": {}, "emb_params": torch.ones(2, 768)}, path)
    page = desk.page
    opened(page)
    card(page, "embedding old.pt").click()
    page.get_by_role("button", name="Convert to safetensors").click()
    expect(page.get_by_role("status").filter(has_text="is converted")).to_be_visible(timeout=120_000)
    expect(card(page, "embedding old.safetensors")).to_be_visible()
    assert path.with_suffix(".safetensors").is_file()


def test_a_pickle_that_was_refused_says_why_until_it_is_tried_again(desk: Desk, shelf: Path) -> None:
    path = shelf / "embeddings" / "refused.pt"
    path.write_bytes(pickle.dumps(print))
    page = desk.page
    wrong = page.locator(".sl-model-wrong").filter(has_text="refused.pt cannot be converted: it holds more than weights")
    try:
        opened(page)
        card(page, "embedding refused.pt").click()
        page.get_by_role("button", name="Convert to safetensors").click()
        expect(wrong).to_be_visible(timeout=120_000)
        desk.reload()
        opened(page)
        card(page, "embedding refused.pt").click()
        expect(wrong).to_be_visible()
    finally:
        path.unlink()
