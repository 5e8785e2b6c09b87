"""Lines from pictures: Canny's edges, soft edges, and drawings from differences of Gaussians.

Papers: A Computational Approach to Edge Detection (Canny 1986); XDoG: An eXtended difference-of-Gaussians compendium (Winnemöller
et al. 2012), https://doi.org/10.1016/j.cag.2012.03.004
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Array = NDArray[np.float32]


def canny(picture: Image.Image, low: float, high: float, blur: float) -> Image.Image:
    """White edges, one pixel wide, on black. `low` and `high` are steepness |dx| + |dy| by Sobel's operator over 0..255, as
    OpenCV counts it; the steepest of the three colours counts."""
    across, down = _gradients(picture, blur)
    steep = np.abs(across) + np.abs(down)
    weak = _is_ridge(steep, across, down) & (steep > min(low, high))
    labels, count = ndimage.label(weak, structure=np.ones((3, 3)))
    strong = np.bincount(labels[steep > max(low, high)], minlength=count + 1) > 0
    strong[0] = False
    return _grey(np.where(strong[labels], 255, 0))


def soft_edges(picture: Image.Image, blur: float) -> Image.Image:
    """Edges as bright as they are steep, white for the steepest hundredth."""
    across, down = _gradients(picture, blur)
    steep = np.hypot(across, down)
    top = float(np.percentile(steep, 99)) or 1.0
    return _grey(255 * np.sqrt(np.clip(steep / top, 0, 1)))


def lineart(picture: Image.Image, width: float, strength: float) -> Image.Image:
    """White lines, soft at their edges, on black, where a colour is darker than around."""
    return _grey(255 * np.clip(_lines(picture, width) * strength * 1.5, 0, 1))


def scribble(picture: Image.Image, width: float, strength: float) -> Image.Image:
    """Hard white strokes on black, about `width` pixels wide."""
    labels, count = ndimage.label(_lines(picture, width) * strength > 0.3, structure=np.ones((3, 3)))
    long = np.bincount(labels.reshape(-1), minlength=count + 1) > 12 * width
    long[0] = False
    return _grey(np.where(ndimage.binary_dilation(long[labels], iterations=max(1, round(width / 2))), 255, 0))


def _gradients(picture: Image.Image, blur: float) -> tuple[Array, Array]:
    """(across, down), each (h, w), of the colour that is steepest there."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    if blur:
        pixels = ndimage.gaussian_filter(pixels, (blur, blur, 0))
    across, down = (_sobel(pixels, axis) for axis in (1, 0))
    steepest = (np.abs(across) + np.abs(down)).argmax(axis=2)[..., None]
    return np.take_along_axis(across, steepest, 2)[..., 0], np.take_along_axis(down, steepest, 2)[..., 0]


def _sobel(pixels: Array, axis: int) -> Array:
    """Along one side of (h, w, 3), smoothed along the other; scipy's own would smooth from colour to colour too."""
    rising = ndimage.correlate1d(pixels, (-1, 0, 1), axis, mode="nearest")
    return ndimage.correlate1d(rising, (1, 2, 1), 1 - axis, mode="nearest")


def _is_ridge(steep: Array, across: Array, down: Array) -> NDArray[np.bool_]:
    """Where the steepness is highest among its two neighbours along the gradient; of equal ones the first is."""
    angle = np.round(np.arctan2(down, across) / (np.pi / 4)).astype(np.int8) % 4
    padded = np.pad(steep, 1)
    height, width = steep.shape
    ridge = np.zeros(steep.shape, dtype=bool)
    for sector, (dy, dx) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        behind = padded[1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        ridge |= (angle == sector) & (steep > behind) & (steep >= ahead)
    return ridge


def _lines(picture: Image.Image, width: float) -> Array:
    """How much darker a place is than around it, in the colour where it is most; (h, w), 0 where it is lighter, 1 at about the
    strongest hundredth."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255
    wide, narrow = (ndimage.gaussian_filter(pixels, (sigma, sigma, 0)) for sigma in (1.6 * width, width))
    darker = np.clip(wide - narrow, 0, None).max(axis=2)
    return darker / max(float(np.percentile(darker, 99)), 0.01)


def _grey(values: NDArray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")
