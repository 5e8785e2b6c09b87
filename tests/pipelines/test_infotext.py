"""A1111's text: what we write comes back as it was, what others wrote is understood, and nothing raises."""

import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines import request as requests
from pipelines.infotext import SOFTWARE, parse, write
from pipelines.infotext_words import WORDS
from pipelines.names import SCHEDULERS
from pipelines.parameters import SEEDS
from pipelines.request import Img2Img, Inpaint, Txt2Img

PARAMETERS = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x768"
LINES = st.sampled_from(
    [
        PARAMETERS, "Negative prompt: fog", "Negative prompt:", "style: anime, mood: dark, light: soft", 'Steps: 3, a: "b", cc: 4',
        'Safelight: "{}"', '"', "\\", "\n", "", " ", "\u2028", "\x00", "\r\n", "\x85", "\x1c",
        "ܐ שלום \u202e", "\U0001f98a\u200d\U0001f525",
        "(a:1.2), [b:c:0.5]", "<lora:x:1>",
    ]
)  # fmt: skip
TEXT = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.lists(LINES, max_size=5).map("\n".join))
NAMES = st.one_of(st.sampled_from(["safelight-picturebook", "sub/fox, v1.safetensors", "v1.5", "a:b.ckpt", '"', "x "]), TEXT)
SHORT = NAMES.map(lambda name: name[:200])  # as long as the name of a scheduler may be
COMMON = {
    "prompt": TEXT,
    "negative_prompt": TEXT,
    "width": st.integers(8, 256).map(lambda value: value * 8),
    "height": st.integers(8, 256).map(lambda value: value * 8),
    "num_inference_steps": st.integers(1, 150),
    "guidance_scale": st.floats(0, 30),
    "checkpoint": NAMES,
    "vae": st.one_of(st.just("automatic"), NAMES),
    "clip_skip": st.integers(0, 11),
    "exact": st.booleans(),
    "modifiers": st.dictionaries(TEXT, st.dictionaries(TEXT, st.one_of(st.integers(), st.booleans(), TEXT), max_size=2), max_size=2),
}
SAMPLING = st.sampled_from([(name, schedule) for name, spec in SCHEDULERS.items() for schedule in ("automatic", *spec.schedules)])


SOURCE = {"image": st.just("a" * 64), "strength": st.floats(1 / 3, 1), "num_inference_steps": st.integers(3, 150)}
SOURCE |= {"color_correction": st.booleans(), "noise_multiplier": st.floats(0, 1.5), "loops": st.integers(1, 16)}
PICTURE = SOURCE | {"resize_mode": st.sampled_from(["stretch", "crop", "fill", "latent"])}
MASKED = SOURCE | {
    "mask_image": st.sampled_from(["b" * 64, ""]),
    "inpaint_area": st.sampled_from(["whole", "masked"]),
    "masked_content": st.sampled_from(["original", "fill", "noise", "nothing"]),
    "padding": st.integers(0, 512),
    "mask_blur": st.integers(-1, 128),
    "mask_grow": st.integers(-128, 128),
    "mask_invert": st.booleans(),
    "soft_inpainting": st.booleans(),
    "separately": st.booleans(),
    "outpaint_left": st.integers(0, 2048),
    "outpaint_bottom": st.integers(0, 2048),
}


def made(model, fields, sampling):
    built = st.builds(model, **(COMMON | fields))
    return st.tuples(built, sampling).map(
        lambda pair: pair[0].model_copy(update=dict(zip(("scheduler", "schedule"), pair[1], strict=True)))
    )


REQUESTS = st.one_of(made(Txt2Img, {}, SAMPLING), made(Img2Img, PICTURE, st.tuples(SHORT, SHORT)), made(Inpaint, MASKED, SAMPLING))


def read(text):
    return requests.parse(parse(text).draft)


@settings(max_examples=150, deadline=None)
@given(
    REQUESTS,
    st.integers(0, SEEDS - 1),
    st.dictionaries(st.sampled_from(["Model hash", "VAE hash", "Foo", "Hires upscale", "Face restoration"]), TEXT),
)
@example(Txt2Img(prompt=f"a cat\n{PARAMETERS}", negative_prompt=f"x\n{PARAMETERS}"), 1, {})
@example(Txt2Img(prompt="a\nNegative prompt: b", negative_prompt="c\nNegative prompt: d"), 1, {})
@example(Txt2Img(prompt="fox " * 5000, negative_prompt="\U0001f98a" * 20_000), 1, {})
def test_reading_what_was_written_gives_it_back(request, seed, extra):
    text = write(request, seed, extra)
    assert read(text) == request.model_copy(update={"seed": seed, "num_images_per_prompt": 1})
    assert parse(text).unknown == {**extra, "Version": SOFTWARE}


def test_the_text_is_a1111s():
    request = Txt2Img(
        prompt="a red fox,\noil",
        negative_prompt="blurry",
        num_images_per_prompt=4,
        scheduler="dpmpp_2m",
        schedule="karras",
        seed=1,
        checkpoint="fox",
    )
    assert write(
        request, 3, {"Model hash": "0123456789", "Tiling": True, "Nothing": None, "Foo": "a: b, c\nd", "bad:key": 1, "Seed": 9}
    ) == (
        "a red fox,\noil\n"
        "Negative prompt: blurry\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 3, Size: 512x512, Model hash: 0123456789, Model: fox, "
        'RNG: CPU, Tiling: True, Foo: "a: b, c\\nd", Version: Safelight 0.1'
    )


def test_what_the_text_cannot_say_follows_as_json():
    text = write(Img2Img(image="a" * 64, strength=0.5, clip_skip=1, checkpoint="sub/fox.safetensors", vae="v/kl.pt", guidance_scale=7.5), 1)
    assert "CFG scale: 7.5, " in text and "Model: fox, VAE: kl.pt, Denoising strength: 0.5, Clip skip: 2, RNG: CPU, Safelight: " in text
    assert "Safelight: " not in write(Txt2Img(prompt="fox", checkpoint="fox"), 1)


SAID = Txt2Img.model_fields.keys() - {"strength", "checkpoint"}
UNSAID = {word.field: Txt2Img.model_fields[word.field].default for word in WORDS if word.field in SAID}
SILENT = {"seed_resize_from_width": 0, "seed_resize_from_height": 0} | {
    field: default for field, default in UNSAID.items() if field not in ("num_inference_steps", "guidance_scale", "seed")
}


def draft(text):
    return dict(parse(text).draft)


def test_reads_what_a1111_writes():
    text = (
        "masterpiece, (fox:1.2), <lora:ink:0.8>\nin snow\nNegative prompt: bad hands,\nblurry\n"
        "Steps: 28, Sampler: DPM++ 3M SDE, Schedule type: Exponential, CFG scale: 5.5, Seed: 4294967295, Size: 832x1216, "
        "Model hash: 0123456789, Model: juggernaut_v9, VAE hash: 63aeecb90f, VAE: sdxl.vae.safetensors, Clip skip: 2, ENSD: 31337, "
        'Lora hashes: "ink: 0123456789ab, b: 12", Version: v1.10.1'
    )
    parsed = parse(text)
    assert parsed.draft == SILENT | {
        "task": "txt2img", "prompt": "masterpiece, (fox:1.2), <lora:ink:0.8>\nin snow", "negative_prompt": "bad hands,\nblurry",
        "num_inference_steps": 28, "scheduler": "dpmpp_3m_sde", "schedule": "exponential", "guidance_scale": 5.5, "seed": 4294967295,
        "width": 832, "height": 1216, "checkpoint": "juggernaut_v9", "vae": "sdxl.vae.safetensors", "clip_skip": 1,
        "eta_noise_seed_delta": 31337, "noise_source": "nv",
    }  # fmt: skip
    assert parsed.unknown == {
        "Model hash": "0123456789", "VAE hash": "63aeecb90f", "Lora hashes": "ink: 0123456789ab, b: 12",
        "Version": "v1.10.1",
    }  # fmt: skip
    assert parsed.raw == text


@pytest.mark.parametrize(
    ("pairs", "scheduler", "schedule", "left"),
    [
        ("Sampler: DPM++ 2M Karras", "dpmpp_2m", "karras", {}),
        ("Sampler: DPM++ 2M SDE Exponential", "dpmpp_2m_sde", "exponential", {}),
        ("Sampler: euler A", "euler_a", "automatic", {}),
        ("Sampler: Euler, Schedule type: Uniform", "euler", "normal", {}),
        ("Sampler: Euler, Schedule type: SGM Uniform", "euler", "sgm_uniform", {}),
        ("Sampler: Euler, Schedule type: KL Optimal", "euler", "kl_optimal", {}),
        ("Sampler: Euler, Schedule type: Unheard of", "euler", "automatic", {"Schedule type": "Unheard of"}),
        ("Sampler: DDIM, Schedule type: Karras", "ddim", "automatic", {"Schedule type": "Karras"}),
        ("Sampler: PLMS, Schedule type: Automatic", "pndm", "automatic", {}),
        ("Sampler: DPM fast, Schedule type: Karras", "dpm_fast", "automatic", {"Schedule type": "Karras"}),
        ("Sampler: Restart Karras", "restart", "karras", {}),
        ("Sampler: Magic, Schedule type: Karras", None, None, {"Sampler": "Magic", "Schedule type": "Karras"}),
        ("CFG scale: 7", None, None, {}),
    ],
)
def test_samplers_and_schedules(pairs, scheduler, schedule, left):
    parsed = parse(f"fox\nSteps: 20, {pairs}, Seed: 1, Size: 512x512")
    assert (parsed.draft.get("scheduler"), parsed.draft.get("schedule")) == (scheduler, schedule)
    assert parsed.unknown == left


@pytest.mark.parametrize(
    ("pairs", "task"),
    [
        ("Denoising strength: 0.5", "img2img"),
        ("Denoising strength: 0.5, Mask blur: 4", "inpaint"),
        ("Denoising strength: 0.5, Hires upscale: 2", "txt2img"),
        ("Denoising strength: 0.5, Hires resize: 1024x1536", "txt2img"),
        ("Clip skip: 2", "txt2img"),
    ],
)
def test_the_task_follows_from_the_keys(pairs, task):
    parsed = parse(f"fox\n{PARAMETERS}, {pairs}")
    assert parsed.draft["task"] == task
    assert ("strength" in parsed.draft) == (task != "txt2img")


def test_hires_fix_and_refiner_are_a1111s():
    text = (
        f"fox\n{PARAMETERS}, Denoising strength: 0.5, Hires upscale: 1.5, Hires steps: 10, Hires upscaler: Latent, "
        "Hires sampler: Euler a, Refiner: sd_xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.7"
    )
    hires = {"strength": 0.5, "scale": 1.5, "num_inference_steps": 20, "upscaler": "latent", "scheduler": "euler_a"}
    parsed = parse(text)
    assert parsed.draft["modifiers"] == {"hires": hires, "refiner": {"checkpoint": "sd_xl_refiner_1.0", "switch_at": 0.7}}
    assert not [key for key in parsed.unknown if key.startswith(("Hires", "Refiner", "Denoising"))]
    request = Txt2Img(prompt="fox", modifiers={"hires": hires, "refiner": {"checkpoint": "sub/xl.safetensors", "switch_at": 0.8}})
    text = write(request, 1)
    assert "Denoising strength: 0.5, " in text and "Hires steps: 10, Hires upscaler: Latent, Hires sampler: Euler a" in text
    assert "Refiner: xl, Refiner switch at: 0.8" in text and read(text).modifiers == request.modifiers


def test_values_that_no_request_can_hold_are_kept_aside():
    parsed = parse("fox\nSteps: 900, Sampler: Euler, CFG scale: nan, Seed: -5, Size: 501x100000, Clip skip: 99, Denoising strength: 0")
    assert parsed.unknown == {
        "Steps": "900", "CFG scale": "nan", "Seed": "-5", "Width": "501", "Height": "100000", "Clip skip": "99", "Denoising strength": "0",
    }  # fmt: skip
    assert parsed.draft == {field: SILENT[field] for field in SILENT if field != "clip_skip"} | {
        "task": "img2img", "prompt": "fox", "negative_prompt": "", "scheduler": "euler", "schedule": "automatic", "vae": "automatic",
        "resize_mode": "stretch", "color_correction": False, "noise_multiplier": 1.0, "loops": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n ",
        "a fox",
        "a fox\nin snow",
        "a, style: anime, mood: dark, light: soft",
        "a\nSteps: 20, Sampler: Euler a",
        "Steps: many, a b: c, d e: f",
    ],
)
def test_text_without_parameters_is_a_prompt(text):
    prompt = text.strip()
    assert draft(text) == ({"prompt": prompt, "negative_prompt": ""} if prompt else {})


def test_nothing_left_out_by_a1111_is_replaced_by_other_settings():
    assert draft(f"fox\n{PARAMETERS}").items() >= {"vae": "automatic", "clip_skip": 0, "negative_prompt": ""}.items()


def test_pairs_as_a1111_reads_them():
    parsed = parse(f'fox\n{PARAMETERS}, bare, Empty: , Broken: "half, Quoted: "a\\"b, c\\n", (odd) Key-2/x: 1, x: short')
    assert parsed.unknown == {"Broken": '"half', "Quoted": 'a"b, c\n', "Key-2/x": "1"}


def test_a_strangers_own_key_cannot_do_more_than_a_request():
    own = '{"checkpoint": 5, "task": "shell", "path": "/etc/passwd", "seed": 7, "width": 1e999, "modifiers": {"x": {}}}'
    parsed = parse(f"fox\n{PARAMETERS}, Safelight: {json.dumps(own)}")
    assert parsed.draft["seed"] == 7 and parsed.draft["task"] == "txt2img" and parsed.draft["modifiers"] == {"x": {}}
    assert "checkpoint" not in parsed.draft and "path" not in parsed.draft and parsed.draft["width"] == 512


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(), TEXT, st.lists(st.one_of(LINES, st.text(max_size=9)), max_size=9).map(", ".join).map("Steps: 1, {}".format)))
@example("\ud800\nSteps: 1, \udfff: 2, a b: \ud83d")
@example("Steps: " + "9" * 5000 + ", Seed: " + "9" * 5000 + ", CFG scale: 1e999999")
@example("Steps: 1, a b: 1, Safelight: " + "[" * 100_000)
@example('Steps: 1, a b: 1, Safelight: "' + "[" * 100_000 + '"')
@example('Steps: 1, a b: 1, Safelight: "{\\"modifiers\\": ' + "[" * 900 + "]" * 900 + '}"')
def test_no_text_raises(text):
    parsed = parse(text)
    assert parsed.raw == text
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in parsed.unknown.items())


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        " ",
        ":",
        ",",
        '"',
        "\\",
        'a:"',
        'aa:"\\"',
        "aa: b, ",
        'aa: "b", ',
        "((",
        "[a:b:1e999]",
        "Negative prompt:\n",
        "\n",
        "Steps: 1, ",
        'k:"x, ',
    ],
)
def test_time_grows_with_length_only(piece):
    took = []
    for length in (20_000, 200_000):
        text = "Steps: 1, aa: b, cc: d, " + piece * (length // len(piece))
        began = time.process_time()
        parse(text)
        took.append(time.process_time() - began)
    assert took[1] < 60 * max(took[0], 0.02)  # were it to grow with the square, 100 times
