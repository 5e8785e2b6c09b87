"""Clips as files: what is written can be played and tells how it was made; what others wrote breaks nothing."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines import infotext, media, mp4, pictures
from pipelines.clip_files import written
from pipelines.recipe import MAX_TEXT, Recipe, from_picture, texts
from pipelines.request import Img2Vid

COLOURS = [(200, 30, 30), (30, 160, 60), (40, 60, 220), (230, 210, 40)]
REQUEST = Img2Vid(image="a" * 64, num_frames=4, fps=9, seed=5, motion_bucket_id=33, noise_aug_strength=0.25, min_guidance_scale=1.5)


def frames(size: tuple[int, int] = (96, 64)) -> list[Image.Image]:
    return [Image.new("RGB", size, colour) for colour in COLOURS]


def clip(kind: str, recipe: Recipe | None = None) -> bytes:
    text = infotext.write(REQUEST, REQUEST.seed)
    data, media_type = written(frames(), REQUEST.fps, kind, texts(text, recipe or Recipe(request=REQUEST.model_dump(mode="json"))))
    assert media.kind_of(data[: media.HEAD]) == media_type
    return data


def test_an_mp4_is_what_browsers_play() -> None:
    data = clip("mp4")
    with av.open(io.BytesIO(data)) as film:
        stream = film.streams.video[0]
        pictures_in = [frame.reformat(format="rgb24", src_colorspace=Colorspace.ITU709) for frame in film.decode(stream)]
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt, codec.width, codec.height) == ("h264", "yuv420p", 96, 64)
        assert (float(stream.average_rate), float(stream.duration * stream.time_base)) == (9.0, pytest.approx(4 / 9, abs=0.01))
        assert codec.colorspace == Colorspace.ITU709
    assert len(pictures_in) == 4
    for picture, colour in zip(pictures_in, COLOURS, strict=True):
        assert np.abs(picture.to_ndarray()[32, 48].astype(int) - colour).max() <= 4
    assert data.find(b"moov") < data.find(b"mdat")  # it plays while it loads


@pytest.mark.parametrize("kind", ["mp4", "webp"])
def test_a_clip_tells_how_it_was_made(kind: str) -> None:
    recipe = Recipe(request=REQUEST.model_dump(mode="json"), device="cpu", hashes={"unet": "ü" * 9})
    found = from_picture(clip(kind, recipe))
    assert found.source == "safelight" and found.recipe == recipe
    assert found.infotext == infotext.write(REQUEST, REQUEST.seed)
    assert Img2Vid(**found.draft) == REQUEST


def test_a_webp_moves() -> None:
    with Image.open(io.BytesIO(clip("webp"))) as image:
        assert (image.n_frames, image.size, image.info["loop"]) == (4, (96, 64), 0)
        image.seek(3)
        assert image.convert("RGB") and image.info["duration"] == 111
        assert np.abs(np.asarray(image.convert("RGB"))[32, 48].astype(int) - COLOURS[3]).max() <= 6


@pytest.mark.parametrize("kind", ["mp4", "webp"])
def test_its_still_picture_can_be_started_from(kind: str) -> None:
    data = media.still(clip(kind))
    assert (pictures.check(data).width, pictures.check(data).height) == (96, 64)
    assert np.abs(np.asarray(pictures.open_rgb(data))[32, 48].astype(int) - COLOURS[0]).max() <= 6


@pytest.mark.parametrize("kind", ["mp4", "webp"])
def test_its_size_is_known_without_decoding(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"clip.{kind}"
    path.write_bytes(clip(kind))
    assert media.size_of(path) == (96, 64)


def test_without_a_recipe_the_infotext_says_it_all() -> None:
    assert Img2Vid(**infotext.parse(infotext.write(REQUEST, REQUEST.seed)).draft) == REQUEST


@given(st.binary(max_size=300))
def test_any_bytes_will_do(noise: bytes) -> None:
    for data in (noise, b"\0\0\0\x10ftypisom" + noise, b"\0\0\0\x08ftyp\0\0\0\x7fmoov" + noise):
        mp4.read(data)
        from_picture(data)
        media.still(data)


def test_a_cut_or_bent_file_tells_what_is_left() -> None:
    data = clip("mp4")
    for cut in range(0, len(data), 97):
        mp4.read(data[:cut])
    at = data.find(b"tkhd") - 4
    bent = data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]
    assert mp4.read(bent).width == 0 and mp4.read(bent).text(mp4.COMMENT)


def test_too_long_a_text_is_left_unread() -> None:
    data, _ = written(frames(), 7, "mp4", {"parameters": "x" * (MAX_TEXT + 1), "safelight": "{}"})
    assert from_picture(data).infotext is None
