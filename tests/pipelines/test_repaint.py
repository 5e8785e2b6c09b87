"""What is repainted, and in which rounds: masks, boxes in A1111's numbers, transparency, extension, sizes, colours."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.colours import levelled, matched
from pipelines.errors import BadPicture
from pipelines.fill import filled
from pipelines.masks import crop_region, feather, grown, regions
from pipelines.repaint import laid_out, rounds_of
from pipelines.request import Img2Img, Inpaint
from pipelines.resizing import placed, resized, unresized
from tests.pipelines.engines import Blobs


def noise(size: tuple[int, int], seed: int = 1) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def painted(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", size)
    for box in boxes:
        mask.paste(255, box)
    return mask


def asked(image: str = "0" * 64, mask_image: str = "", **fields: Any) -> Inpaint:
    return Inpaint(image=image, mask_image=mask_image, **{"width": 64, "height": 64, **fields})


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)


# -- masks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "box", "padding", "aspect", "wanted"),
    [  # worked out by hand from A1111's get_crop_region and expand_crop_region
        ((512, 512), (200, 200, 300, 250), 32, (512, 512), (168, 143, 332, 307)),  # 164 × 114: 50 more in height
        ((512, 512), (200, 200, 250, 300), 32, (512, 512), (143, 168, 307, 332)),
        ((512, 512), (0, 0, 100, 20), 32, (512, 512), (0, 0, 132, 132)),  # pushed down from above the edge
        ((512, 512), (400, 490, 512, 512), 32, (512, 512), (368, 368, 512, 512)),  # pushed up from the corner
        ((512, 512), (200, 200, 301, 250), 32, (512, 256), (137, 168, 365, 282)),  # 165 × 114: 63 more in width
        ((512, 100), (0, 0, 512, 100), 0, (512, 512), (0, 0, 512, 100)),  # cannot grow beyond the picture
        ((512, 512), (255, 255, 256, 256), 0, (64, 64), (255, 255, 256, 256)),
    ],
)
def test_the_part_around_a_mask_is_a1111s(size: Any, box: Any, padding: int, aspect: Any, wanted: Any) -> None:
    assert crop_region(painted(size, box), padding, aspect) == wanted


def test_a_mask_grows_and_shrinks_and_the_pictures_edge_takes_nothing_away() -> None:
    mask = painted((60, 40), (0, 10, 20, 30))
    white = pixels(grown(mask, 5)) == 255
    assert white[20, 24] and not white[20, 25] and white[5, 3] and not white[4, 3]
    assert not white[5, 24]  # round at the corner
    less = pixels(grown(mask, -5)) == 255
    assert less[20, 0] and less[20, 14] and not less[20, 15] and not less[14, 5] and less[15, 5]
    assert grown(mask, 0) == mask and grown(Image.new("L", (8, 8)), 3).getbbox() is None


def test_spots_that_lie_apart_are_regions_the_largest_first_and_near_ones_stay_together() -> None:
    mask = painted((320, 160), (10, 10, 20, 20), (24, 10, 30, 20), (200, 50, 280, 120), (10, 120, 40, 150))
    parts = regions(mask)
    assert [part.getbbox() for part in parts] == [(200, 50, 280, 120), (10, 120, 40, 150), (10, 10, 30, 20)]
    assert np.array_equal(sum(pixels(part) for part in parts), pixels(mask))
    specks = painted((600, 60), *((x, 10, x + 2, 12) for x in range(0, 600, 25)))
    many = regions(specks)
    assert len(many) == 16 and np.array_equal(sum(pixels(part) for part in many), pixels(specks))


@pytest.mark.parametrize("width", [0, 1, 7, 200])
def test_a_soft_edge_never_leaves_the_mask(width: int) -> None:
    mask = painted((90, 70), (5, 5, 50, 40), (60, 50, 90, 70))
    soft = pixels(feather(mask, width))
    assert (soft[pixels(mask) == 0] == 0).all() and (soft[pixels(mask) > 0] > 0).all() and soft.max() == 255


# -- what the canvas is made of ------------------------------------------------------------------------------------------


def test_transparent_parts_are_filled_from_around_and_repainted() -> None:
    blobs, whole = Blobs(), Image.new("RGB", (48, 32), (200, 40, 40))
    clear = Image.new("L", whole.size, 255)
    clear.paste(0, (24, 0, 48, 32))
    picture = Image.new("RGB", whole.size, "white")  # what lies under transparency must not bleed in
    picture.paste(whole.crop((0, 0, 24, 32)), (0, 0))
    picture.putalpha(clear)
    canvas, mask = laid_out(asked(blobs.add(picture)), blobs.__getitem__)
    assert mask is not None and mask.getbbox() == (24, 0, 48, 32)
    assert np.abs(pixels(canvas) - (200, 40, 40)).max() <= 1
    mixed, both = laid_out(asked(blobs.add(picture), blobs.add(painted((48, 32), (0, 0, 5, 5)))), blobs.__getitem__)
    assert both is not None and both.getpixel((2, 2)) == both.getpixel((40, 20)) == 255 and both.getpixel((20, 20)) == 0
    assert mixed == canvas


def test_an_extended_picture_has_the_old_one_in_its_place() -> None:
    blobs, picture = Blobs(), noise((40, 24))
    request = asked(blobs.add(picture), outpaint_left=8, outpaint_bottom=16)
    canvas, mask = laid_out(request, blobs.__getitem__)
    assert mask is not None and canvas.size == mask.size == (48, 40)
    assert canvas.crop((8, 0, 48, 24)) == picture
    assert mask.crop((8, 0, 48, 24)).getbbox() is None and np.count_nonzero(mask) == 48 * 40 - 40 * 24
    (round,) = rounds_of(request, mask)
    done = round.stitched(noise((64, 64), 2), canvas)
    assert done.size == (48, 40) and done.crop((8, 0, 48, 24)) == picture


@pytest.mark.parametrize(
    ("fields", "mask", "words"),
    [
        ({}, None, "mask_image is missing"),
        ({}, (0, 0, 0, 0), "The mask has no white"),
        ({"mask_invert": True}, (0, 0, 40, 24), "white everywhere"),
        ({"mask_grow": -20}, (5, 5, 15, 15), "mask_grow -20 leaves no white"),
        ({"outpaint_left": 8}, "other", "The mask is 20 × 20 pixels, the picture 40 × 24"),
    ],
)
def test_what_leaves_nothing_to_repaint_is_one_sentence(fields: dict[str, Any], mask: Any, words: str) -> None:
    blobs = Blobs()
    drawn = None if mask is None else Image.new("L", (20, 20), 255) if mask == "other" else painted((40, 24), mask)
    request = asked(blobs.add(noise((40, 24))), blobs.add(drawn) if drawn else "", **fields)
    with pytest.raises(BadPicture, match=words):
        laid_out(request, blobs.__getitem__)


# -- rounds --------------------------------------------------------------------------------------------------------------

OPTIONS: list[dict[str, Any]] = [
    {}, {"inpaint_area": "masked"}, {"inpaint_area": "masked", "padding": 0, "width": 128}, {"soft_inpainting": True}, {"mask_blur": 0},
    {"mask_blur": 20}, {"separately": True, "inpaint_area": "masked"}, {"separately": True, "loops": 2}, {"color_correction": True},
    {"soft_inpainting": True, "inpaint_area": "masked", "mask_blur": 9}, {"mask_grow": 4}, {"mask_grow": -2, "mask_invert": True},
]  # fmt: skip


@pytest.mark.parametrize("size", [(64, 64), (131, 77), (37, 203)])
@pytest.mark.parametrize("options", OPTIONS)
def test_what_is_outside_the_mask_comes_back_bit_for_bit(size: tuple[int, int], options: dict[str, Any]) -> None:
    blobs, picture = Blobs(), noise(size)
    drawn = painted(size, (0, 3, 21, 30), (size[0] - 9, size[1] - 11, size[0], size[1]))
    request = asked(blobs.add(picture), blobs.add(drawn), **options)
    canvas, mask = laid_out(request, blobs.__getitem__)
    assert mask is not None and canvas == picture
    for index, round in enumerate(rounds_of(request, mask)):
        canvas = round.stitched(noise((request.width, request.height), index), canvas)
    black = np.asarray(mask) == 0
    assert canvas.size == size and black.any()
    assert np.array_equal(pixels(canvas)[black], pixels(picture)[black])
    assert (pixels(canvas) != pixels(picture)).any()


def test_a_part_goes_to_the_models_size_and_back_to_its_place() -> None:
    canvas = noise((200, 120))
    mask = painted(canvas.size, (30, 40, 60, 60))
    (round,) = rounds_of(asked(inpaint_area="masked", padding=8, width=128, height=64), mask)
    assert round.box == (9, 32, 81, 68)  # 46 × 36, 26 more in width
    part = round.part(canvas)
    again = unresized(resized(part, (128, 64), "fill"), part.size, "fill")
    assert again.size == part.size and np.corrcoef(pixels(again).ravel(), pixels(part).ravel())[0, 1] > 0.9


# -- sizes and colours ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "target", "mode", "wanted"),
    [  # A1111's resize_image: left, top, width, height
        ((200, 100), (512, 512), "stretch", (0, 0, 512, 512)),
        ((200, 100), (512, 512), "crop", (-256, 0, 1024, 512)),
        ((200, 100), (512, 512), "fill", (0, 128, 512, 256)),
        ((100, 201), (512, 512), "fill", (129, 0, 254, 512)),
        ((100, 201), (512, 512), "crop", (0, -258, 512, 1029)),
    ],
)
def test_where_a_picture_comes_to_lie_is_a1111s(size: Any, target: Any, mode: Any, wanted: Any) -> None:
    assert placed(size, target, mode) == wanted
    assert resized(noise(size), target, mode).size == target


def test_drawn_out_borders_repeat_the_outermost_pixels() -> None:
    drawn = pixels(resized(noise((64, 32)), (64, 64), "fill"))
    assert (drawn[:16] == drawn[16]).all() and (drawn[48:] == drawn[47]).all()
    assert resized(painted((64, 32), (0, 0, 64, 32)), (64, 64), "fill", ground=0).getbbox() == (0, 16, 64, 48)


def test_a_hole_is_filled_smoothly_and_the_rest_stays() -> None:
    across = Image.fromarray(np.repeat(np.linspace(20, 220, 96).astype(np.uint8)[None], 64, axis=0)).convert("RGB")
    hole = painted(across.size, (30, 10, 66, 50))
    done = filled(across, hole)
    kept = np.asarray(hole) == 0
    assert np.array_equal(pixels(done)[kept], pixels(across)[kept])
    assert np.abs(pixels(done) - pixels(across)).max() < 45 and np.abs(np.diff(pixels(done), axis=1)).max() < 14
    assert filled(across, Image.new("L", across.size, 255)).getcolors() == [(96 * 64, (128, 128, 128))]


def test_a_hole_is_filled_with_what_is_beside_it_not_with_things_further_away() -> None:
    scene = Image.new("RGB", (192, 128), (130, 215, 255))
    scene.paste((250, 160, 30), (30, 20, 110, 128))
    done = filled(scene, painted(scene.size, (124, 0, 192, 128)))
    assert np.abs(pixels(done)[:, 124:] - (130, 215, 255)).max() <= 1


def test_colours_are_matched_in_mean_and_spread() -> None:
    warm = Image.fromarray((pixels(noise((64, 64))) * (0.5, 0.3, 0.2) + (90, 60, 40)).astype(np.uint8))
    moved = matched(noise((64, 64), 5), warm)
    assert np.abs(pixels(moved).mean((0, 1)) - pixels(warm).mean((0, 1))).max() < 6
    assert np.abs(pixels(matched(warm, warm)) - pixels(warm)).max() <= 1


def test_a_step_at_the_seam_is_levelled() -> None:
    kept, made = Image.new("RGB", (96, 96), (120, 120, 120)), Image.new("RGB", (96, 96), (140, 110, 120))
    blend = painted(kept.size, (30, 30, 70, 70))
    done = pixels(levelled(made, kept, blend))
    assert np.abs(done[50, 30] - (120, 120, 120)).max() <= 4 and np.abs(done[50, 50] - (140, 110, 120)).max() < 12
    assert Img2Img(image="0" * 64).loops == 1 and rounds_of(Img2Img(image="0" * 64, loops=3), None)[2].blend is None
