"""Maps drawn from what a network told of a picture: depth, the normals of its surfaces, and what is where."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Estimate = NDArray[np.float32] | NDArray[np.uint8]
"""Of depth the nearness (h, w) from 0, farthest, to 1, float32; of segmentation colours (h, w, 3), uint8."""

_SMOOTHED = 1 / 400  # of the longer side: what a network tells is coarser than the picture, and its steps are no surfaces


def depth(estimate: Estimate) -> Image.Image:
    """White is nearest."""
    return Image.fromarray((estimate * 255).astype(np.uint8)).convert("RGB")


def normals(estimate: Estimate, strength: float, background: float) -> Image.Image:
    """Red looks to the left, green up, blue to the viewer, as ControlNets of normals were trained (ScanNet's way): (n + 1) / 2.

    The slope of the nearness along a side of the picture, times `strength`, is that of the surface; what is less near than
    `background` of the whole is taken as a wall behind.
    """
    height, width = estimate.shape
    smooth = ndimage.gaussian_filter(estimate, max(height, width) * _SMOOTHED, mode="nearest")
    down, across = (_slope(smooth, axis) * strength * max(height, width) for axis in (0, 1))
    behind = estimate < background
    left, up = (np.where(behind, 0, slope) for slope in (across, down))
    looks = np.stack([left, up, np.ones_like(left)], axis=2)
    looks /= np.linalg.norm(looks, axis=2, keepdims=True)
    return Image.fromarray(np.round((looks + 1) * 127.5).astype(np.uint8))


def segments(estimate: Estimate) -> Image.Image:
    return Image.fromarray(estimate)


def _slope(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """By pixel; one alone has none."""
    return np.gradient(values, axis=axis) if values.shape[axis] > 1 else np.zeros_like(values)
