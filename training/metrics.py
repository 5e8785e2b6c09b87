"""Measures of pictures that need no network: which background, which object colour."""

from __future__ import annotations

import numpy as np
from PIL import Image

from training.palette import OBJECT_COLOURS, nearest_backdrop

BORDER = 4  # pixels on each side that show the background
OBJECT_DISTANCE = 60.0  # RGB distance from the background at which the object begins


def _median(*parts: np.ndarray) -> np.ndarray:
    return np.median(np.concatenate([part.reshape(-1, 3) for part in parts]), axis=0)


def _ends(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The median colours of the border's upper third and lower quarter."""
    upper, lower = rgb[: len(rgb) // 3], rgb[-(len(rgb) // 4) :]
    top = _median(rgb[:BORDER], upper[:, :BORDER], upper[:, -BORDER:])
    return top, _median(rgb[-BORDER:], lower[:, :BORDER], lower[:, -BORDER:])


def background_name(picture: Image.Image) -> str:
    """The palette name or scenery nearest to the border's colours."""
    top, bottom = _ends(np.asarray(picture.convert("RGB"), np.float32))
    return nearest_backdrop(tuple(top.tolist()), tuple(bottom.tolist()))


def blockiness(picture: Image.Image, square: int) -> float:
    """The share of all steps between neighbouring pixels that lies on the borders of a grid of squares."""
    rgb = np.asarray(picture.convert("RGB"), np.float32)
    steps = [np.abs(np.diff(rgb, axis=axis)).sum(axis=(1 - axis, 2)) for axis in (0, 1)]
    on_grid = sum(float(line[square - 1 :: square].sum()) for line in steps)
    return on_grid / max(1.0, sum(float(line.sum()) for line in steps))


def _unlike_background(rgb: np.ndarray) -> np.ndarray:
    """Where a picture on a plain background shows its object."""
    border = _median(rgb[:BORDER], rgb[-BORDER:], rgb[:, :BORDER], rgb[:, -BORDER:])
    return np.linalg.norm(rgb - border, axis=-1) > OBJECT_DISTANCE


def object_colour(picture: Image.Image) -> str | None:
    """The object colour most of the coloured pixels unlike the background have, if any."""
    rgb = np.asarray(picture.convert("RGB"), np.float32)
    hsv = np.asarray(picture.convert("HSV"), np.float32) / 255.0
    inside = _unlike_background(rgb) & (hsv[..., 1] > 0.3) & (hsv[..., 2] > 0.3)
    if not inside.any():
        return None
    hues = hsv[..., 0][inside][:, None] * 360.0
    palette = np.array([hue for hue, _, _ in OBJECT_COLOURS.values()])
    nearest = np.abs((hues - palette + 180.0) % 360.0 - 180.0).argmin(1)
    return list(OBJECT_COLOURS)[int(np.bincount(nearest).argmax())]
