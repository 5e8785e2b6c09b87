"""What does not fit the checkpoint is told in the column before it is asked for; folds say what is set in them."""

from playwright.sync_api import expect

from tests.browser.desk import Desk


def title(desk: Desk, fold: str, tab: str = "txt2img") -> str:
    return (desk.fold(fold, tab).text_content() or "").strip()


def test_folds_say_what_is_set_in_them(desk: Desk) -> None:
    head = desk.page.locator
    expect(desk.fold("sampler")).to_contain_text("Sampler · DDIM")
    assert title(desk, "modifiers") == "Modifiers" and title(desk, "negative") == "Negative prompt"
    desk.unfold("negative")
    desk.page.get_by_role("textbox", name="Negative prompt", exact=True).fill("fog")
    expect(desk.fold("negative")).to_contain_text("Negative prompt · on")
    desk.unfold("sampler")
    desk.pick("Scheduler", "Euler")
    desk.pick("Schedule", "Karras")
    expect(desk.fold("sampler")).to_contain_text("Sampler · Euler, Karras")
    desk.unfold("modifiers")
    for name in ("hires", "freeu"):
        head(f"#txt2img-modifiers-{name} input").check()
    expect(desk.fold("modifiers")).to_contain_text("Hires fix")
    expect(desk.fold("modifiers")).to_contain_text("FreeU")
    desk.reload()
    expect(desk.fold("negative")).to_contain_text("· on")


def test_sizes_that_the_checkpoint_does_not_know(desk: Desk) -> None:
    misfit = desk.page.locator(".sl-misfit").first
    desk.unfold("modifiers")
    desk.page.locator("#txt2img-modifiers-hires input").check()
    expect(desk.page.locator("#txt2img-modifiers-hires-scale .sl-becomes")).to_have_text("→ 256 × 256")
    expect(misfit).to_contain_text("Hires fix makes 256 × 256, far beyond the 128 × 128")
    desk.set("modifiers-hires-scale", 1.25)
    expect(desk.page.locator("#txt2img-modifiers-hires-scale .sl-becomes")).to_have_text("→ 160 × 160")
    expect(misfit).to_be_hidden()
    desk.set("width", 512)
    expect(misfit).to_contain_text("512 × 128 is far beyond")


def test_what_has_no_effect_is_not_in_the_way(desk: Desk) -> None:
    page = desk.page
    desk.unfold("noise")
    expect(page.locator("#txt2img-s_churn")).to_be_hidden()  # DDIM stirs no noise in
    expect(page.locator("#txt2img-eta")).to_be_visible()
    expect(page.locator("#txt2img-fold-noise .sl-idle").last).to_contain_text("DDIM has no use for")
    desk.unfold("sampler")
    desk.pick("Scheduler", "Euler")
    expect(page.locator("#txt2img-s_churn")).to_be_visible()
    desk.unfold("words")
    expect(page.locator("#txt2img-prompt_2 .sl-idle")).to_have_text("This checkpoint has one text encoder.")
    desk.tab("img2img")
    expect(page.locator("#img2img-strength")).to_be_visible()
    expect(page.locator("#img2img-image_guidance_scale")).to_be_hidden()


def test_modifiers_that_do_not_go_with_the_checkpoint_are_hidden_and_counted(desk: Desk) -> None:
    head = desk.page.locator
    desk.unfold("model")
    desk.pick("Checkpoint", "Toy")
    desk.unfold("modifiers")
    expect(head("#txt2img-modifiers-freeu")).to_be_visible()
    expect(head("#txt2img-modifiers-cascade")).to_be_hidden()
    expect(head("#txt2img-fold-modifiers .sl-idle").last).to_have_text("1 more does not go with Toy.")
    head("#txt2img-modifiers-refiner input").check()  # the other toy knows the same latents
    expect(head("#txt2img-modifiers-refiner-switch_at")).to_be_visible()
    expect(head("#txt2img-modifiers-refiner-aesthetic_score")).to_be_hidden()
