"""What a checkpoint, sampler or machine will not do with a setting is told at its field, before it is asked for."""

from playwright.sync_api import Locator, expect

from tests.browser.desk import Desk


def advice(desk: Desk, field: str) -> Locator:
    return desk.page.locator(f"#txt2img-{field} .sl-advice")


def test_what_a_setting_will_not_do_is_told_at_its_field(desk: Desk) -> None:
    desk.unfold("sampler")
    desk.pick("Scheduler", "DPM adaptive")
    expect(advice(desk, "num_inference_steps")).to_contain_text("DPM adaptive chooses its own steps")
    desk.pick("Scheduler", "Euler CFG++")
    expect(advice(desk, "num_inference_steps")).to_be_hidden()
    desk.set("guidance_scale", 7)
    expect(advice(desk, "guidance_scale")).to_have_text("Euler CFG++ is made for a guidance of 1 to 2; 7 burns the picture.")
    desk.set("guidance_scale", 1.5)
    expect(advice(desk, "guidance_scale")).to_be_hidden()


def test_more_layers_than_there_are_and_a_gpu_that_is_not_there(desk: Desk) -> None:
    desk.unfold("model")
    desk.set("clip_skip", 3)
    expect(advice(desk, "clip_skip")).to_have_text("This checkpoint's text encoder has room for 2; more is refused.")
    desk.set("clip_skip", 2)
    expect(advice(desk, "clip_skip")).to_be_hidden()
    desk.unfold("noise")
    desk.pick("Noise from", "GPU")
    expect(advice(desk, "noise_source")).to_contain_text("no NVIDIA GPU")
