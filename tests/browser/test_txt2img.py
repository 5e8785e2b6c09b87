"""Text to picture, from the prompt to the picture on disk."""

from playwright.sync_api import expect

from tests.browser.desk import Desk


def test_a_prompt_develops_into_a_picture(desk: Desk) -> None:
    desk.prompt.fill("a red apple")
    desk.set("num_inference_steps", 40)
    made_before = desk.film.count()
    job = desk.generate()
    expect(desk.developing).to_be_visible()
    expect(desk.cancel).to_be_visible()
    expect(desk.page.get_by_role("progressbar", name="Progress")).to_be_visible()
    expect(desk.page.locator(".sl-words")).to_contain_text("of 40")
    done = desk.program.finished(job)
    assert done["state"] == "finished", done["error"]
    desk.shows(done)
    expect(desk.go).to_be_visible()
    expect(desk.film).to_have_count(made_before + 1)
    picture = desk.program.picture(done["images"][0])
    assert "a red apple" in picture.info["parameters"]
    expect(desk.page.locator(".sl-words")).to_contain_text(f"Seed {done['request']['seed']}")


def test_a_small_picture_is_shown_large_and_crisp(desk: Desk) -> None:
    desk.prompt.fill("a small thing")
    desk.shows(desk.program.finished(desk.generate()))
    box = desk.made.bounding_box()
    assert box is not None
    assert box["height"] > 450
    assert box["width"] % 64 == 0
    assert desk.made.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"


def test_several_pictures_are_a_sheet_and_each_can_be_chosen(desk: Desk) -> None:
    desk.prompt.fill("twins")
    desk.set("num_images_per_prompt", 2)
    done = desk.program.finished(desk.generate())
    desk.shows(done)
    desk.page.locator(".sl-cell").nth(1).click()
    expect(desk.made).to_have_count(1)
    expect(desk.page.locator(".sl-words")).to_contain_text(f"Seed {done['request']['seed'] + 1}")
    desk.page.locator(".sl-easel").press("ArrowRight")
    expect(desk.page.locator(".sl-words")).to_contain_text(f"Seed {done['request']['seed']} ")


def test_escape_cancels_what_develops(desk: Desk) -> None:
    desk.prompt.fill("never seen")
    desk.set("num_inference_steps", 150)
    desk.set("num_images_per_prompt", 8)
    job = desk.generate()
    expect(desk.developing).to_be_visible()
    desk.page.keyboard.press("Escape")
    expect(desk.go).to_be_visible()
    assert desk.program.finished(job)["state"] == "cancelled"


def test_ctrl_enter_queues_more_and_what_waits_can_be_cancelled(desk: Desk) -> None:
    desk.set("num_inference_steps", 150)
    desk.set("num_images_per_prompt", 8)
    for prompt in ("the first", "the second", "the third"):
        desk.prompt.fill(prompt)
        desk.prompt.press("Control+Enter")
        desk.program.until(lambda prompt=prompt: desk.program.jobs()[0]["request"]["prompt"] == prompt)
    expect(desk.queue).to_have_count(2)
    desk.page.get_by_role("button", name="Cancel: the second").click()
    expect(desk.queue).to_have_count(1)
    states = {job["request"]["prompt"]: job["state"] for job in desk.program.jobs()[:3]}
    assert states["the second"] == "cancelled"
    assert states["the first"] in ("running", "queued")
    assert states["the third"] in ("running", "queued")


def test_a_double_click_on_generate_cancels_nothing(desk: Desk) -> None:
    desk.prompt.fill("twice")
    desk.set("num_inference_steps", 100)
    desk.go.dblclick()
    desk.program.until(lambda: desk.program.jobs()[0]["request"]["prompt"] == "twice")
    desk.page.wait_for_timeout(300)  # a cancel that must not come has no event to wait for
    assert all(job["state"] != "cancelled" for job in desk.program.jobs() if job["request"]["prompt"] == "twice")


def test_the_seed_can_be_kept_reused_and_let_go(desk: Desk) -> None:
    desk.prompt.fill("a seed")
    first = desk.program.finished(desk.generate())
    desk.shows(first)
    seed = desk.number("seed")
    expect(seed).to_have_value("-1")
    desk.page.get_by_role("button", name="Reuse last seed").click()
    expect(seed).to_have_value(str(first["request"]["seed"]))
    expect(desk.page.get_by_role("button", name="Keep this seed")).to_have_attribute("aria-pressed", "true")
    again = desk.program.finished(desk.generate())
    assert again["request"]["seed"] == first["request"]["seed"]
    assert desk.program.picture(again["images"][0]).tobytes() == desk.program.picture(first["images"][0]).tobytes()
    desk.page.get_by_role("button", name="Random seed each time").click()
    expect(seed).to_have_value("-1")


def test_checkpoint_scheduler_and_size_go_with_the_next_click(desk: Desk) -> None:
    desk.unfold("model")
    desk.pick("Checkpoint", "Other toy")
    expect(desk.number("num_inference_steps")).to_have_value("9")
    expect(desk.number("width")).to_have_value("96")
    desk.unfold("sampler")
    expect(desk.page.get_by_role("combobox", name="Scheduler", exact=True)).to_have_value("DDIM")
    desk.pick("Scheduler", "Heun")
    desk.pick("Schedule", "Exponential")
    desk.page.get_by_role("button", name="Landscape").click()
    request = desk.program.finished(desk.generate())["request"]
    assert (request["checkpoint"], request["scheduler"], request["schedule"]) == ("b-toy", "heun", "exponential")
    assert request["width"] > request["height"]


def test_only_schedules_that_fit_the_scheduler_are_offered(desk: Desk) -> None:
    desk.unfold("sampler")
    desk.pick("Scheduler", "Euler a")
    desk.pick("Schedule", "Karras")
    desk.pick("Scheduler", "PLMS")
    schedule = desk.page.get_by_role("combobox", name="Schedule", exact=True)
    expect(schedule).to_have_value("Automatic")
    schedule.click()
    expect(desk.page.get_by_test_id("dropdown-option")).to_have_count(1)


def test_a_modifier_is_sent_only_when_it_is_on(desk: Desk) -> None:
    assert desk.program.finished(desk.generate())["request"]["modifiers"] == {}
    desk.unfold("modifiers")
    expect(desk.page.locator("#txt2img-modifiers-freeu-b1")).to_be_hidden()
    desk.page.get_by_role("checkbox", name="FreeU").check()
    desk.set("modifiers-freeu-b1", 1.3)
    modifiers = desk.program.finished(desk.generate())["request"]["modifiers"]
    assert modifiers["freeu"]["b1"] == 1.3


def test_a_checkpoint_list_that_is_merely_left_changes_nothing(desk: Desk) -> None:
    desk.unfold("sampler")
    desk.pick("Scheduler", "Heun")
    desk.set("num_inference_steps", 3)
    desk.unfold("model")
    desk.page.get_by_role("combobox", name="Checkpoint", exact=True).click()
    desk.page.keyboard.press("Escape")
    desk.prompt.click()
    request = desk.program.job(desk.generate())["request"]
    assert (request["scheduler"], request["num_inference_steps"]) == ("heun", 3)
