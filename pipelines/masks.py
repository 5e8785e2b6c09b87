"""Masks: grown, softened towards the inside, and taken apart into regions. All are pictures in mode L."""

import numpy as np
from PIL import Image
from scipy import ndimage

WHITE = 128
"""Of 255: from here on a mask says "repaint"."""

FEATHER_PER_SIDE = 1 / 160
"""Width of the soft edge inside the repainted part, as a share of the picture's longer side: 3 pixels at 512."""

SOFT_PER_SIDE = 1 / 16
"""The same for soft inpainting: 32 pixels at 512."""

NEAR_PER_SIDE = 1 / 32
"""Strokes that are nearer than that share of the longer side are one region: 16 pixels at 512."""

MOST_REGIONS = 16

Box = tuple[int, int, int, int]


def share_of(size: tuple[int, int], share: float) -> int:
    return max(1, round(max(size) * share))


def feather(mask: Image.Image, width: int) -> Image.Image:
    """`mask` falling to its edge over at most `width` pixels inside the white; black stays 0, and thin strokes stay white.

    The edge of the picture is no edge of the mask.
    """
    box = mask.getbbox()
    if box is None or width == 0:
        return mask
    box = _wider(box, 1, mask.size)
    values = np.asarray(mask.crop(box))
    if values.min() > 0:
        return mask
    depth = ndimage.distance_transform_cdt(values > 0, "chessboard")
    layers = min(width + 1, int(depth.max()))
    soft = values * np.minimum(depth, layers) / layers
    feathered = Image.new("L", mask.size)
    feathered.paste(Image.fromarray(soft.round().astype(np.uint8)), box)
    return feathered


def grown(mask: Image.Image, pixels: int) -> Image.Image:
    """The white larger all around by `pixels`, or smaller where they are below 0; the edge of the picture takes nothing away."""
    box = mask.getbbox()
    if box is None or pixels == 0:
        return mask
    box = _wider(box, abs(pixels) + 1, mask.size)
    values = np.asarray(mask.crop(box))
    white = values >= WHITE
    if pixels > 0:
        changed = np.where(ndimage.distance_transform_edt(~white) <= pixels, 255, values) if white.any() else values
    else:
        changed = values if white.all() else np.where(ndimage.distance_transform_edt(white) > -pixels, values, 0)
    done = Image.new("L", mask.size)
    done.paste(Image.fromarray(changed.astype(np.uint8)), box)
    return done


def regions(mask: Image.Image) -> tuple[Image.Image, ...]:
    """The parts of the mask that lie apart, the largest first; strokes close to each other stay together, as do all beyond
    `MOST_REGIONS`."""
    values = np.asarray(mask)
    near = share_of(mask.size, NEAR_PER_SIDE) / 2
    marks, count = ndimage.label(ndimage.distance_transform_edt(values == 0) <= near)
    whites = np.bincount(marks.ravel(), weights=(values >= WHITE).ravel(), minlength=count + 1)
    order = [int(mark) for mark in np.argsort(-whites, kind="stable") if mark and whites[mark]]
    groups = [[mark] for mark in order[: MOST_REGIONS - 1]] + [order[MOST_REGIONS - 1 :]]
    return tuple(Image.fromarray(np.where(np.isin(marks, group), values, 0).astype(np.uint8)) for group in groups if group)


def is_graded(mask: Image.Image) -> bool:
    """Whether the mask has greys of its own, beyond the smooth edge of a stroke."""
    counts = mask.histogram()
    return sum(counts[16:240]) > 0.1 * max(1, sum(counts[16:]))


def crop_region(mask: Image.Image, padding: int, aspect: tuple[int, int]) -> Box:
    """The box around the white with `padding` pixels, made wider or higher to the proportions `aspect` as far as the picture
    reaches. A1111's rule (get_crop_region, expand_crop_region), in its rounding."""
    found = mask.point(lambda value: 255 * (value >= WHITE)).getbbox() or (0, 0, *mask.size)
    left, top, right, bottom = _wider(found, padding, mask.size)
    if (right - left) * aspect[1] > (bottom - top) * aspect[0]:
        wanted = int((right - left) * aspect[1] / aspect[0] - (bottom - top))
        top, bottom = _longer(top, bottom, wanted, mask.height)
    else:
        wanted = int((bottom - top) * aspect[0] / aspect[1] - (right - left))
        left, right = _longer(left, right, wanted, mask.width)
    return left, top, right, bottom


def _wider(box: Box, pixels: int, size: tuple[int, int]) -> Box:
    left, top, right, bottom = box
    return max(left - pixels, 0), max(top - pixels, 0), min(right + pixels, size[0]), min(bottom + pixels, size[1])


def _longer(start: int, end: int, pixels: int, size: int) -> tuple[int, int]:
    """From `start` to `end` with `pixels` more, half on each side, moved into the picture and cut to it."""
    start, end = start - pixels // 2, end + pixels - pixels // 2
    if end > size:
        start, end = start - (end - size), size
    if start < 0:
        start, end = 0, end - start
    return start, min(end, size)
