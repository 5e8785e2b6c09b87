"""Measures of pictures that need no network: which background, which object colour."""

from __future__ import annotations

import numpy as np
from PIL import Image

from training.palette import OBJECT_COLOURS, nearest_background

BORDER = 3  # pixels on each side that show the background
OBJECT_DISTANCE = 60.0  # RGB distance from the background at which the object begins


def _border_colour(rgb: np.ndarray) -> np.ndarray:
    sides = (rgb[:BORDER], rgb[-BORDER:], rgb[:, :BORDER], rgb[:, -BORDER:])
    return np.median(np.concatenate([side.reshape(-1, 3) for side in sides]), axis=0)


def background_name(picture: Image.Image) -> str:
    """The palette name of the median border colour."""
    red, green, blue = _border_colour(np.asarray(picture.convert("RGB"), np.float32))
    return nearest_background((float(red), float(green), float(blue)))


def object_colour(picture: Image.Image) -> str | None:
    """The object colour most of the coloured pixels unlike the background have, if any."""
    rgb = np.asarray(picture.convert("RGB"), np.float32)
    hsv = np.asarray(picture.convert("HSV"), np.float32) / 255.0
    inside = np.linalg.norm(rgb - _border_colour(rgb), axis=-1) > OBJECT_DISTANCE
    inside &= (hsv[..., 1] > 0.3) & (hsv[..., 2] > 0.3)
    if not inside.any():
        return None
    hues = hsv[..., 0][inside][:, None] * 360.0
    palette = np.array([hue for hue, _, _ in OBJECT_COLOURS.values()])
    nearest = np.abs((hues - palette + 180.0) % 360.0 - 180.0).argmin(1)
    return list(OBJECT_COLOURS)[int(np.bincount(nearest).argmax())]
