"""What is missing in a picture spread in from its surroundings, from coarse to fine (push-pull)."""

import numpy as np
from PIL import Image
from scipy import ndimage

MID_GREY = 127.5

NEAR_PER_SIDE = 1 / 32
"""What is spread in comes from so near the edge, as a share of the longer side: a thing further away does not colour the ground."""


def spread(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`values` (h, w, c), float32, as far as `weight` (h, w) from 0 to 1 says that they are known; the rest is spread in from
    what is known around it, the smoother the further away. Where nothing is known all is 0.

    Method: The Lumigraph (Gortler et al. 1996), section 3.4.1.
    """
    height, width = weight.shape
    known = weight[..., None]
    if height == width == 1 or bool((weight >= 1).all()):
        return values * known
    sums, weights = _quartered(values * known), _quartered(known)
    coarse = spread(sums / np.maximum(weights, 1e-6), np.minimum(weights[..., 0], 1))
    return values * known + _doubled(_doubled(coarse, 0, height), 1, width) * (1 - known)


def filled(picture: Image.Image, missing: Image.Image) -> Image.Image:
    """The picture (RGB) with what is white in `missing` (L, alike in size) made from what is right beside it; black stays to the bit."""
    hole = np.asarray(missing, dtype=np.float32) / 255
    if hole.min() >= 1:
        return Image.new("RGB", picture.size, (round(MID_GREY),) * 3)
    values = np.asarray(picture, dtype=np.float32) - MID_GREY  # what nothing is known of becomes grey
    near = ndimage.distance_transform_edt(hole == 0) <= max(2, NEAR_PER_SIDE * max(picture.size))
    made = Image.fromarray((spread(values, (1 - hole) * near) + MID_GREY).round().clip(0, 255).astype(np.uint8))
    return Image.composite(made, picture, missing.point(lambda value: 255 * (value > 0)))


def _quartered(values: np.ndarray) -> np.ndarray:
    """Sums over blocks of 2 × 2; what lies outside counts nothing."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return even[0::2, 0::2] + even[1::2, 0::2] + even[0::2, 1::2] + even[1::2, 1::2]


def _doubled(values: np.ndarray, axis: int, length: int) -> np.ndarray:
    """Twice as many along `axis`, linearly in between, cut to `length`."""
    count = values.shape[axis]
    before = np.take(values, np.maximum(np.arange(count) - 1, 0), axis)
    after = np.take(values, np.minimum(np.arange(count) + 1, count - 1), axis)
    both = np.stack([0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after], axis + 1)
    shape = (*values.shape[:axis], 2 * count, *values.shape[axis + 1 :])
    return np.take(both.reshape(shape), np.arange(length), axis)
