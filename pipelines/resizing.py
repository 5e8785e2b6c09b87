"""How a picture of one shape is brought to a size of another: stretched, cut, or with its borders drawn out."""

import numpy as np
from PIL import Image

from .parameters import ResizeMode

LANCZOS = Image.Resampling.LANCZOS


def placed(size: tuple[int, int], target: tuple[int, int], mode: ResizeMode) -> tuple[int, int, int, int]:
    """Where a picture of `size` comes to lie in one of `target` (both width, height), in A1111's rounding: left, top, width,
    height; left and top are below 0 where it is cut."""
    (width, height), (wide, high) = size, target
    if mode in ("stretch", "latent"):
        return 0, 0, wide, high
    broader = wide * height > high * width  # the target is
    if broader == (mode == "crop"):
        across, down = wide, max(1, height * wide // width)
    else:
        across, down = max(1, width * high // height), high
    return wide // 2 - across // 2, high // 2 - down // 2, across, down


def resized(picture: Image.Image, target: tuple[int, int], mode: ResizeMode = "stretch", ground: int | None = None) -> Image.Image:
    """The picture (RGB or L) at the size `target`; `ground` is what a mask has around it, None draws the borders out."""
    left, top, across, down = placed(picture.size, target, mode)
    scaled = picture.resize((across, down), LANCZOS)
    if (left, top, across, down) == (0, 0, *target):
        return scaled
    if left < 0 or top < 0:
        return scaled.crop((-left, -top, target[0] - left, target[1] - top))
    if ground is not None:
        laid = Image.new(picture.mode, target, ground)
        laid.paste(scaled, (left, top))
        return laid
    around = ((top, target[1] - top - down), (left, target[0] - left - across), (0, 0))
    return Image.fromarray(np.pad(np.asarray(scaled), around[: np.asarray(scaled).ndim], mode="edge"))


def unresized(made: Image.Image, size: tuple[int, int], mode: ResizeMode) -> Image.Image:
    """The way back: what lies in `made` in the place of a picture of `size`, at that size. Not for what was cut."""
    left, top, across, down = placed(size, made.size, mode)
    if (left, top, across, down) != (0, 0, *made.size):
        made = made.crop((left, top, left + across, top + down))
    return made if made.size == size else made.resize(size, LANCZOS)
