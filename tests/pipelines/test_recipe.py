"""Pictures carry how they were made, and give it back; files of others are read with care."""

import io
import json
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines import infotext
from pipelines import request as requests
from pipelines.recipe import MAX_TEXT, Found, Recipe, alone, from_picture, library_versions, to_png
from pipelines.request import Inpaint, Txt2Img

A1111 = "a fox\nNegative prompt: fog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x768, Model: fox, Version: v1.10.1"
IMAGE = Image.new("RGB", (16, 8), (250, 120, 30))


def recipe_of(request, picture=0, **facts):
    return Recipe(request=alone(request, picture).model_dump(), picture=picture, **facts)


def encoded(format, **options):
    buffer = io.BytesIO()
    IMAGE.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind, payload):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def with_chunk(kind, payload, behind=False):
    png = encoded("PNG")
    at = len(png) - 12 if behind else 33  # before IEND, or right after IHDR
    return png[:at] + chunk(kind, payload) + png[at:]


def user_comment(comment):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    return exif


@pytest.mark.parametrize(
    "prompt", ["a fox", "ein Füchslein", "狐 \U0001f98a", "line\nline", "\u202eRTL", "a\x00b", "Steps: 1, a b: c, d e: f"]
)
def test_a_picture_gives_back_its_request_and_recipe(prompt):
    request = Inpaint(prompt=prompt, image="a" * 64, mask_image="b" * 64, seed=9, num_images_per_prompt=3, modifiers={"freeu": {"b1": 1.2}})
    recipe = recipe_of(
        request, 2, hashes={"unet": "c" * 64}, scheduler={"sampler": "euler", "sigmas": [14.6, 0.0]}, versions=library_versions()
    )
    text = infotext.write(request, 11)
    png = to_png(IMAGE, text, recipe)
    found = from_picture(png)
    assert (found.source, found.infotext, found.recipe) == ("safelight", text, recipe)
    assert requests.parse(found.draft) == request.model_copy(update={"seed": 11, "num_images_per_prompt": 1})
    with Image.open(io.BytesIO(png)) as image:
        assert image.convert("RGB").tobytes() == IMAGE.tobytes()
        assert image.text["parameters"] == text  # as A1111 reads it


def test_without_its_recipe_the_infotext_still_tells():
    found = from_picture(to_png(IMAGE, infotext.write(Txt2Img(prompt="fox"), 4), {"request": "gone"}))
    assert (found.source, found.recipe, found.draft["seed"]) == ("safelight", None, 4)


def test_what_json_has_no_word_for_costs_no_picture():
    facts = {"betas": (0.1, float("nan"), float("inf")), "dtype": io.BytesIO, "names": {"x"}, 5: None, "half": "\ud800"}
    data = to_png(IMAGE, "\ud800 fox", {"request": {"prompt": "fox"}, "scheduler": facts})
    found = from_picture(data)
    assert found.recipe.scheduler["betas"] == [0.1, "nan", "inf"]
    assert found.recipe.scheduler["5"] is None
    assert found.infotext == "? fox"


def test_a_recipe_takes_what_scheduler_configs_hold():
    config = {"trained_betas": (0.1, 0.2), "lambda_min_clipped": -float("inf"), "solver": object, "_use_default_values": ["x"]}
    recipe = recipe_of(Txt2Img(), scheduler={"class": "X", "config": config})
    assert recipe.scheduler["config"]["trained_betas"] == [0.1, 0.2]
    assert from_picture(to_png(IMAGE, "fox", recipe)).recipe == recipe


@pytest.mark.parametrize(
    "data",
    [
        encoded("PNG", pnginfo=(info := PngInfo(), info.add_text("parameters", A1111))[0]),
        with_chunk(b"tEXt", b"parameters\0" + A1111.encode()),
        with_chunk(b"tEXt", b"parameters\0" + A1111.encode(), behind=True),
        with_chunk(b"zTXt", b"parameters\0\0" + zlib.compress(A1111.encode())),
        with_chunk(b"iTXt", b"parameters\0\0\0\0\0" + A1111.encode()),
        with_chunk(b"iTXt", b"parameters\0\1\0en\0Parameter\0" + zlib.compress(A1111.encode())),
        encoded("JPEG", exif=user_comment(b"UNICODE\0" + A1111.encode("utf-16-be"))),
        encoded("JPEG", exif=user_comment(b"UNICODE\0" + A1111.encode("utf-16-le"))),
        encoded("WEBP", exif=user_comment(b"UNICODE\0" + A1111.encode("utf-16-be"))),
        encoded("JPEG", exif=user_comment(b"ASCII\0\0\0" + A1111.encode())),
        encoded("JPEG", exif=user_comment(A1111.encode())),
    ],
)
def test_pictures_of_a1111(data):
    found = from_picture(data)
    assert (found.source, found.infotext, found.recipe) == ("a1111", A1111, None)
    assert requests.parse(found.draft) == Txt2Img(
        prompt="a fox",
        negative_prompt="fog",
        seed=5,
        scheduler="euler_a",
        guidance_scale=7,
        width=512,
        height=768,
        checkpoint="fox",
        noise_source="nv",  # A1111 leaves RNG out where a GPU drew
    )
    assert found.unknown == {"Version": "v1.10.1"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture at all",
        encoded("PNG"),
        encoded("JPEG"),
        encoded("JPEG", exif=user_comment(b"UNICODE\0")),
        encoded("GIF"),
        with_chunk(b"tEXt", b"parameters\0" + b"x" * (MAX_TEXT + 1)),
        with_chunk(b"iTXt", b"parameters\0\1\0\0\0" + zlib.compress(b"x" * 10**8)),  # a bomb: 100 MB in 100 kB
        with_chunk(b"zTXt", b"parameters\0\0" + b"not packed"),
        with_chunk(b"tEXt", b"safelight\0" + b"[" * 200_000),
        with_chunk(b"tEXt", b'safelight\0{"request": []}'),
        with_chunk(b"tEXt", b"workflow\0{}"),
    ],
)
def test_files_that_tell_nothing(data):
    found = from_picture(data)
    assert found.source is None and found.draft == {} and found.recipe is None


def test_json_of_other_tools_is_shown_and_not_taken_for_a_prompt():
    text = json.dumps({"prompt": "fox", "fooocus_scheme": "fooocus"})
    assert from_picture(with_chunk(b"tEXt", b"parameters\0" + text.encode())) == Found(None, text)


def test_a_strangers_recipe_is_taken_field_by_field():
    recipe = {"request": {"prompt": "fox", "width": 10**9, "task": "shell", "path": "/etc/passwd", "modifiers": 5}, "device": "cuda"}
    found = from_picture(with_chunk(b"tEXt", b"safelight\0" + json.dumps(recipe).encode()))
    assert (found.source, found.draft) == ("safelight", {"prompt": "fox"})


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 120), st.booleans())
def test_no_bytes_raise(noise, at, cut):
    for whole in (with_chunk(b"iTXt", b"parameters\0\0\0\0\0" + A1111.encode()), encoded("JPEG", exif=user_comment(A1111.encode()))):
        from_picture(whole[:at] + noise + (b"" if cut else whole[at:]))
