"""Colours of what was made brought to those of the picture it came from: overall, and at a seam."""

import numpy as np
from PIL import Image
from scipy import ndimage

from .fill import spread

SEAM_PER_SIDE = 1 / 32
"""How far around the mask a seam is looked at, as a share of the picture's longer side: 16 pixels at 512. The correction reaches
three times as far into it."""


def matched(made: Image.Image, source: Image.Image) -> Image.Image:
    """`made` (RGB) with the mean and the spread of `source`'s colours in Lab, its own shapes left as they are.

    Paper: Color Transfer between Images (Reinhard et al. 2001), in CIE Lab.
    """
    ours, theirs = _lab(made), _lab(source)
    mean, spread_of = ours.mean((0, 1)), ours.std((0, 1))
    moved = (ours - mean) * (theirs.std((0, 1)) / np.maximum(spread_of, 1e-3)) + theirs.mean((0, 1))
    return Image.fromarray(_rgb(moved))


def levelled(made: Image.Image, kept: Image.Image, blend: Image.Image) -> Image.Image:
    """`made` (RGB) moved so that it meets `kept` where `blend` (L) begins: what the two differ by in the kept pixels along the seam
    is spread into the mask, where it fades. Nothing but the part around the mask is looked at.

    After: Poisson Image Editing (Pérez et al. 2003), with a membrane in place of the equation.
    """
    laid = np.asarray(blend) > 0
    if not laid.any() or laid.all():
        return made
    reach = max(2, round(max(made.size) * SEAM_PER_SIDE))
    box = _around(laid, 2 * reach)
    laid = laid[box]
    ours = np.asarray(made, dtype=np.float32)[box]
    along = (ndimage.distance_transform_edt(~laid) <= reach) & ~laid
    inside = ndimage.distance_transform_edt(laid)
    difference = np.asarray(kept, dtype=np.float32)[box] - ours
    correction = spread(difference, along.astype(np.float32)) * ((1 - (inside - 1) / (3 * reach)).clip(0, 1) ** 2)[..., None]
    done = np.asarray(made).copy()
    done[box] = np.where(laid[..., None], (ours + correction).round().clip(0, 255), ours).astype(np.uint8)
    return Image.fromarray(done)


def _around(laid: np.ndarray, margin: int) -> tuple[slice, slice]:
    found = ndimage.find_objects(laid.astype(np.uint8))[0]
    rows, columns = ((max(each.start - margin, 0), min(each.stop + margin, size)) for each, size in zip(found, laid.shape, strict=True))
    return slice(*rows), slice(*columns)


# -- CIE Lab (D65) from 8-bit sRGB and back --------------------------------------------------------------------------------

_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
_WHITE = _TO_XYZ.sum(axis=1)


def _lab(picture: Image.Image) -> np.ndarray:
    rgb = np.asarray(picture.convert("RGB"), dtype=np.float64) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def _rgb(lab: np.ndarray) -> np.ndarray:
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f**3 > 216 / 24389, f**3, (116 * f - 16) * 27 / 24389) * _WHITE
    linear = (xyz @ np.linalg.inv(_TO_XYZ).T).clip(0, 1)
    rgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (rgb * 255).round().clip(0, 255).astype(np.uint8)
