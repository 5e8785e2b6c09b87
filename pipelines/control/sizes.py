"""How a picture is brought to the size that is made: A1111's three resize modes, and its pixel perfect resolution."""

from typing import Literal

import numpy as np
from PIL import Image

from .. import resizing

Size = tuple[int, int]
ResizeMode = Literal["stretch", "crop", "fill"]
"""Stretched to the size; as large as covers it, and cut evenly; or as large as fits into it, on the colour of its own edge.
A1111 calls them just resize, crop and resize, resize and fill."""


def resized(picture: Image.Image, size: Size, mode: ResizeMode, exact: bool = False) -> Image.Image:
    """The picture (RGB) at `size` (width, height); `exact` mixes no colours."""
    if mode != "fill" and not exact:
        return resizing.resized(picture, size, mode)
    left, top, across, down = resizing.placed(picture.size, size, mode)
    ground = Image.new(picture.mode, size, _edge_colour(picture, exact))
    ground.paste(picture.resize((across, down), Image.Resampling.NEAREST if exact else resizing.LANCZOS), (left, top))
    return ground


def perfect(picture: Size, size: Size, mode: ResizeMode) -> int:
    """The length of the picture's shorter side at which what is made of it needs no more scaling to `size`."""
    factors = (size[0] / picture[0], size[1] / picture[1])
    return max(1, round(min(picture) * (min(factors) if mode == "fill" else max(factors))))


def at_resolution(picture: Image.Image, resolution: int) -> Image.Image:
    """The picture with `resolution` pixels along its shorter side."""
    factor = resolution / min(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture if size == picture.size else picture.resize(size, resizing.LANCZOS)


def _edge_colour(picture: Image.Image, exact: bool) -> tuple[int, ...]:
    """The median of its outermost pixels, so that a map of lines is not drawn out into streaks; the commonest of them where colours
    are `exact`."""
    pixels = np.asarray(picture)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if exact:
        colours, counts = np.unique(edge, axis=0, return_counts=True)
        return tuple(int(value) for value in colours[counts.argmax()])
    return tuple(int(value) for value in np.median(edge, axis=0))
