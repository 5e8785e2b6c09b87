"""Units in a picture's text: written as sd-webui-controlnet writes them, heard from it, and whole again from our own."""

from pipelines.control import ControlParams
from pipelines.infotext import parse, write
from tests.pipelines.engines import request

UNIT = {
    "image": "ab" * 32, "preprocessor": "canny", "model": "sd15/control_canny.safetensors", "controlnet_conditioning_scale": 0.75,
    "control_guidance_start": 0.1, "control_guidance_end": 0.9, "control_mode": "control", "parameters": {"low": 50.0},
}  # fmt: skip
THEIRS = (
    'a fox\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x512, ControlNet 0: "Module: softedge_pidinet, Model: '
    "control_v11p_sd15_softedge [a8575a2a], Weight: 0.8, Resize Mode: Resize and Fill, Processor Res: 512, Guidance Start: 0.2, "
    'Guidance End: 0.7, Pixel Perfect: False, Control Mode: My prompt is more important", ControlNet 1: "Module: canny, Model: None, '
    'Weight: 1, Threshold A: 90, Threshold B: 180"'
)


def test_what_is_written_says_it_in_their_words_and_gives_it_back_whole() -> None:
    asked = request(modifiers={"control": {"units": [UNIT, {**UNIT, "enabled": False}]}})
    text = write(asked, asked.seed)
    assert (
        'ControlNet 0: "Module: canny, Model: control_canny, Weight: 0.75, Resize Mode: Crop and Resize, Processor Res: 512, '
        'Threshold A: 50, Guidance Start: 0.1, Guidance End: 0.9, Pixel Perfect: True, Control Mode: ControlNet is more important"'
    ) in text
    assert "ControlNet 1" not in text
    assert parse(text).draft["modifiers"] == asked.modifiers


def test_theirs_is_heard_as_units_that_wait_for_their_picture() -> None:
    found = parse(THEIRS)
    params = ControlParams.model_validate(found.draft["modifiers"]["control"])
    first, second = params.units
    assert (first.preprocessor, first.model, first.resize_mode) == ("soft_edges", "control_v11p_sd15_softedge", "fill")
    assert (first.controlnet_conditioning_scale, first.control_guidance_start, first.control_guidance_end) == (0.8, 0.2, 0.7)
    assert (first.control_mode, first.pixel_perfect, first.enabled, first.image) == ("prompt", False, False, "")
    assert (second.preprocessor, second.model, second.parameters) == ("canny", "", {"low": 90, "high": 180})
    assert not params.acting and not [key for key in found.unknown if key.startswith("ControlNet")]


def test_what_cannot_be_heard_is_told_as_unknown() -> None:
    text = THEIRS.replace("Weight: 0.8", "Weight: much")
    found = parse(text)
    assert "control" not in found.draft.get("modifiers", {}) and "ControlNet 0" in found.unknown
