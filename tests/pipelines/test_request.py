"""A request is a value; every rule it breaks gives one sentence that names the field, the rule and the value."""

import json
import math
from typing import Any

import pytest

from pipelines.errors import InvalidRequest, StudioError
from pipelines.request import TASKS, Img2Img, Inpaint, Txt2Img, parse

BLOB = "a" * 64


def test_a_request_is_comparable_and_survives_json() -> None:
    request = parse({"prompt": "a cat", "seed": 3, "modifiers": {"freeu": {"b1": 1.2}}})
    assert request == Txt2Img(prompt="a cat", seed=3, modifiers={"freeu": {"b1": 1.2}})
    assert type(request).model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize("task", TASKS)
def test_every_field_says_where_it_is_placed_and_what_it_means(task: str) -> None:
    for name, field in TASKS[task].model_fields.items():
        if name != "task":
            assert field.title and field.description and field.json_schema_extra["place"], name


@pytest.mark.parametrize(
    ("draft", "field", "words"),
    [
        ({"num_inference_steps": 0}, "num_inference_steps", ("greater than or equal to 1", "got 0")),
        ({"num_inference_steps": 20.5}, "num_inference_steps", ("integer", "20.5")),
        ({"guidance_scale": math.nan}, "guidance_scale", ("finite", "nan")),
        ({"guidance_scale": math.inf}, "guidance_scale", ("finite", "inf")),
        ({"width": 65}, "width", ("multiple of 8", "65")),
        ({"height": 100_000}, "height", ("2048", "100000")),
        ({"prompt": "x" * 200_000}, "prompt", ("100000 characters", "(200,000 characters)")),
        ({"prompt": None}, "prompt", ("string", "None")),
        ({"seed": -2}, "seed", ("-1", "-2")),
        ({"seed": 2**32}, "seed", (str(2**32),)),
        ({"seed": 2**32 - 1, "num_images_per_prompt": 2}, None, ("room for 2 pictures",)),
        ({"colour": "red"}, "colour", ("no field of txt2img", "prompt, negative_prompt")),
        ({"task": "paint"}, "task", ("'paint'", "img2img, img2vid, inpaint, txt2img")),
        ({"task": ["txt2img"]}, "task", ("known:",)),
        ({"task": "img2img"}, "image", ("missing",)),
        (
            {"task": "img2img", "image": "../../etc/passwd"},
            "image",
            ("is not the id of an upload (64 hex digits); got '../../etc/passwd'.",),
        ),
        ({"task": "inpaint", "image": BLOB, "mask_image": "x"}, "mask_image", ("is not the id of an upload (64 hex digits); got 'x'.",)),
        ({"num_inference_steps": "20"}, "num_inference_steps", ("valid integer", "'20'")),
        ({"num_inference_steps": True}, "num_inference_steps", ("valid integer", "True")),
        ({"guidance_scale": "7"}, "guidance_scale", ("valid number", "'7'")),
        ({"task": "img2img", "image": BLOB, "strength": True}, "strength", ("valid number", "True")),
        ({"modifiers": {"freeu": {"b1": math.nan}}}, "modifiers", ("modifiers.freeu.b1", "finite", "nan")),
        ({"modifiers": {"freeu": {"b1": json.loads("[" * 300 + "]" * 300)}}}, "modifiers", ("modifiers.freeu.b1 is nested too deeply.",)),
        ({"prompt": json.loads("[" * 900 + "]" * 900)}, "prompt", ("string",)),
        ({"y" * 100_000: 1}, "y" * 80, ("no field of txt2img",)),
        ({"task": "img2img", "image": BLOB, "strength": 0.01}, None, ("strength 0.01 of 20 steps", "at least 0.05")),
        ({"task": "inpaint", "mask_image": BLOB}, "image", ("missing",)),
        ({"task": "inpaint", "image": BLOB, "resize_mode": "crop"}, None, ("resize_mode means nothing to inpaint",)),
    ],
)
def test_a_broken_rule_is_one_sentence(draft: dict[str, Any], field: str | None, words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(draft)
    sentence = str(caught.value)
    assert isinstance(caught.value, StudioError) and caught.value.field == field
    assert all(word in sentence for word in words), sentence
    assert len(sentence) < 400 and "\n" not in sentence and sentence.endswith((".", "…"))


def test_numbers_come_as_sliders_send_them() -> None:
    request = parse({"num_inference_steps": 20.0, "guidance_scale": 7})
    assert (request.num_inference_steps, request.guidance_scale) == (20, 7.0)
    assert (type(request.num_inference_steps), type(request.guidance_scale)) == (int, float)


def test_a_decided_seed_stays_and_an_open_one_is_decided() -> None:
    assert parse({"seed": 5}).with_seed().seed == 5
    decided = parse({"num_images_per_prompt": 8}).with_seed()
    assert decided.seed >= 0 and decided.seed + 8 <= 2**32


@pytest.mark.parametrize(("steps", "strength", "run"), [(20, 0.75, 15), (20, 1.0, 20), (3, 0.34, 1)])
def test_steps_run_are_counted_as_diffusers_counts_them(steps: int, strength: float, run: int) -> None:
    assert Img2Img(image=BLOB, num_inference_steps=steps, strength=strength).steps_run == run
    assert Inpaint(image=BLOB, mask_image=BLOB, num_inference_steps=steps).steps_run == steps


def test_a_clip_has_bounds_of_its_own() -> None:
    clip = parse({"task": "img2vid", "image": BLOB})
    assert (clip.width, clip.height, clip.num_frames, clip.steps_run) == (1024, 576, 25, 25)
    for field, value in (("num_frames", 1), ("fps", 0), ("motion_bucket_id", -1), ("noise_aug_strength", 1.5), ("width", 1020)):
        with pytest.raises(InvalidRequest) as caught:
            parse({"task": "img2vid", "image": BLOB, field: value})
        assert caught.value.field == field
    with pytest.raises(InvalidRequest, match=r"min_guidance_scale must be at most max_guidance_scale, 2; got 2\.5"):
        parse({"task": "img2vid", "image": BLOB, "min_guidance_scale": 2.5, "max_guidance_scale": 2})
    with pytest.raises(InvalidRequest, match="image is missing"):
        parse({"task": "img2vid"})


@pytest.mark.parametrize("field", sorted(TASKS["img2vid"].unused))
def test_a_clip_is_told_no_words(field: str) -> None:
    value = {"modifiers": {"freeu": {}}, "clip_skip": 1, "guidance_scale": 2.0, "rescale_betas_zero_snr": True}.get(field)
    known = {"emphasis": "none", "prompt_syntax": "compel", "timestep_spacing": "leading"}
    with pytest.raises(InvalidRequest, match=f"{field} means nothing to img2vid; leave it out"):
        parse({"task": "img2vid", "image": BLOB, field: known.get(field, "a cat") if value is None else value})
