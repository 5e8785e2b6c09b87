"""What is made of pictures: edges where they are, sizes as A1111 has them, parameters within their bounds."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipelines.control.palette import ade20k, snapped
from pipelines.control.preprocessors import PREPROCESSORS, parameters, preprocessed
from pipelines.control.sizes import ResizeMode, perfect, resized
from pipelines.errors import InvalidRequest, UnknownName


def square(size: int = 64) -> Image.Image:
    """White with a dark blue square from 16 to 47."""
    picture = Image.new("RGB", (size, size), "white")
    ImageDraw.Draw(picture).rectangle((16, 16, 47, 47), fill=(20, 20, 120))
    return picture


def grey(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("L")).astype(int)


@pytest.mark.parametrize("name", PREPROCESSORS)
def test_each_gives_rgb_at_the_size_that_is_made(name: str) -> None:
    told = {None: None, "depth": np.zeros((64, 64), np.float32), "segmentation": np.zeros((64, 64, 3), np.uint8)}
    made = preprocessed(square(), name, {}, (96, 64), estimate=told[PREPROCESSORS[name].network])
    assert (made.mode, made.size) == ("RGB", (96, 64))


def test_canny_draws_the_outline_one_pixel_wide() -> None:
    edges = grey(preprocessed(square(), "canny", {}, (64, 64)))
    assert set(np.unique(edges)) == {0, 255}
    row, column = edges[32], edges[:, 32]
    for line in (row, column):
        places = np.flatnonzero(line)
        assert len(places) == 2 and abs(places[0] - 15.5) <= 1 and abs(places[1] - 47.5) <= 1


def test_canny_keeps_weak_edges_only_where_they_lead_on_from_strong_ones() -> None:
    picture = Image.new("L", (80, 40), 100)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 20, 39, 39), fill=160)  # strong on the left ...
    draw.rectangle((40, 20, 79, 39), fill=130)  # ... and weak on the right, in one line with it
    draw.rectangle((50, 4, 60, 8), fill=130)  # weak and alone
    edges = grey(preprocessed(picture.convert("RGB"), "canny", {"low": 60, "high": 180, "blur": 0}, (80, 40)))
    assert edges[18:22, 5:35].max(axis=0).all() and edges[18:22, 45:75].max(axis=0).all()
    assert not edges[:14].any()


def test_drawings_are_white_on_black() -> None:
    for name in ("lineart", "scribble", "soft_edges"):
        lines = grey(preprocessed(square(), name, {}, (64, 64)))
        assert lines[:, :6].max() < 40 and lines[32, 30] < 40 and lines.max() > 200, name
    assert grey(preprocessed(square(), "invert", {}, (64, 64)))[0, 0] == 0


def test_less_detail_keeps_the_colours() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    mean = np.asarray(noise).mean()
    for name, given in (("tile", {"factor": 8}), ("blur", {"radius": 8}), ("colour", {"block": 16})):
        made = np.asarray(preprocessed(noise, name, given, (64, 64))).astype(float)
        assert abs(made.mean() - mean) < 3 and made.std() < np.asarray(noise).std() / 2, name
    assert len({tuple(colour) for colour in np.asarray(preprocessed(noise, "colour", {"block": 16}, (64, 64))).reshape(-1, 3)}) == 16


def test_segmentation_has_the_colours_of_the_benchmark() -> None:
    colours = dict(ade20k())
    assert (
        len(ade20k()) == 150 and colours["wall"] == (120, 120, 120) and colours["sky"] == (6, 230, 230) and colours["flag"] == (92, 0, 255)
    )
    painted = Image.new("RGB", (4, 1))
    painted.putdata([(8, 228, 228), (120, 118, 121), (104, 253, 2), (150, 8, 60)])
    found = [tuple(pixel) for pixel in np.asarray(snapped(painted)).reshape(-1, 3)]
    assert found == [
        colours["sky"],
        colours["wall"],
        colours["clock"],
        colours["person"],
    ]


def test_a_map_of_exact_colours_stays_exact_at_any_size() -> None:
    colours = dict(ade20k())
    drawn = Image.new("RGB", (40, 30))
    drawn.paste(colours["sky"], (0, 0, 40, 12))
    drawn.paste(colours["grass"], (0, 12, 40, 20))
    modes: tuple[ResizeMode, ...] = ("stretch", "crop", "fill")
    for mode in modes:
        made = np.asarray(preprocessed(drawn, "segmentation", {}, (96, 64), mode))
        assert {tuple(map(int, pixel)) for pixel in made.reshape(-1, 3)} == {colours["sky"], colours["grass"], (0, 0, 0)}, mode


def test_the_three_ways_to_fit_a_picture() -> None:
    wide = Image.new("RGB", (80, 40), (10, 20, 30))
    wide.paste((250, 0, 0), (30, 10, 50, 30))
    stretched, cropped, filled = (resized(wide, (40, 40), mode) for mode in ("stretch", "crop", "fill"))
    assert stretched.size == cropped.size == filled.size == (40, 40)
    red = [(np.asarray(each)[..., 0] > 128).any(axis=0).sum() for each in (stretched, cropped, filled)]
    assert red == [10, 20, 10]
    assert filled.getpixel((20, 2)) == (10, 20, 30) and cropped.getpixel((2, 20)) == (10, 20, 30)


def test_pixel_perfect_needs_no_more_scaling() -> None:
    assert perfect((80, 40), (40, 40), "crop") == 40
    assert perfect((80, 40), (40, 40), "fill") == 20
    assert perfect((100, 200), (512, 512), "crop") == 512
    fine = grey(preprocessed(square(), "canny", {}, (128, 128)))
    coarse = grey(preprocessed(square(), "canny", {}, (128, 128), resolution=64))
    assert set(np.unique(fine)) == {0, 255} and len(np.unique(coarse)) > 2


def test_what_no_preprocessor_knows() -> None:
    assert parameters("canny", {"low": 50}) == {"low": 50, "high": 200, "blur": 1}
    with pytest.raises(InvalidRequest, match="'width' is none of preprocessor 'canny'; it has: low, high, blur"):
        parameters("canny", {"width": 3})
    with pytest.raises(InvalidRequest, match="high of preprocessor 'canny' must be from 1 to 500; got 900"):
        parameters("canny", {"high": 900})
    with pytest.raises(UnknownName, match="no preprocessor named 'openpose'"):
        preprocessed(square(), "openpose", {}, (64, 64))
