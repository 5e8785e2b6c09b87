"""A clip on the page: asked for, watched, played, and its settings read back from its file."""

from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from tests.browser.desk import Desk


def test_a_picture_comes_to_life(desk: Desk, tmp_path: Path) -> None:
    page = desk.page
    source = tmp_path / "a photo.png"
    Image.radial_gradient("L").resize((192, 128)).convert("RGB").save(source)
    page.locator("#img2vid-tab-button").click()
    zone = page.locator('[data-mount="source"][data-tab="img2vid"]')
    expect(zone).to_be_visible()
    assert page.locator("#img2vid-prompt").count() == 0  # there are no words to be told
    zone.locator("input[type=file]").set_input_files(source)
    expect(zone.get_by_text("a photo.png")).to_be_visible()
    page.get_by_role("button", name="Generate").click()

    video = page.locator(".sl-easel video")
    expect(video).to_be_visible()
    page.wait_for_function("document.querySelector('.sl-easel video')?.readyState >= 2")
    found = video.evaluate("(v) => [v.videoWidth, v.videoHeight, v.loop, v.muted, v.controls]")
    assert found == [96, 64, True, True, True]
    assert abs(video.evaluate("(v) => v.duration") - 3 / 7) < 0.05
    expect(page.get_by_text("3 frames, 7 a second")).to_be_visible()
    expect(page.locator(".sl-film .sl-clip img").first).to_be_visible()

    page.get_by_role("button", name="Recipe").click()
    card = page.get_by_role("dialog", name="Recipe of the picture")
    expect(card.get_by_text("How this clip was made")).to_be_visible()
    expect(card.get_by_role("button", name="Send to img2vid")).to_be_visible()
    assert card.get_by_role("button", name="Send to txt2img").count() == 0
    card.get_by_role("button", name="Close").click()

    page.get_by_role("button", name="Frame to img2img").click()
    expect(page.locator('[data-mount="source"][data-tab="img2img"]').get_by_text("96 × 64")).to_be_visible()
