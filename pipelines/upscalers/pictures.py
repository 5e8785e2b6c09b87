"""Pictures made larger, to the pixel as large as asked, by a filter or by a network."""

from collections.abc import Generator

import numpy as np
import torch
from PIL import Image

from ..loading_memory import require
from .loading import Network
from .shelf import Upscaler
from .sizes import Size, covering, passes
from .tiles import Progress, enlarge

_CPU = torch.device("cpu")


def enlarging(
    picture: Image.Image, upscaler: Upscaler | Network, size: Size, tile: int | None = None
) -> Generator[Progress, None, Image.Image]:
    """The picture at `size` (width, height), RGB, or RGBA where it is transparent; yields progress, and ends early when closed.

    A network runs as often as its scale asks for, in windows of `tile` pixels (by default what fits into memory); Lanczos
    does the rest, and the transparency. Where the proportions differ, what is too much is cut evenly from two sides. Raises
    `OutOfMemory` or `BadNumbers` as `tiles.enlarge` does.
    """
    picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if isinstance(upscaler, Upscaler):
        return _resized(picture, size, Image.Resampling[upscaler.mode])
    pixels = torch.from_numpy(np.array(picture.convert("RGB")))
    for _ in range(passes(picture.size, size, upscaler.scale)):
        require(2 * pixels.numel() * upscaler.scale**2, "Enlarging this picture", _CPU)
        pixels = yield from enlarge(upscaler, pixels, tile)
    larger = _resized(Image.fromarray(pixels.numpy()), size)
    if picture.mode == "RGBA":
        larger.putalpha(_resized(picture.getchannel("A"), size))
    return larger


def _resized(picture: Image.Image, size: Size, resample: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
    return picture.resize(size, resample, box=covering(picture.size, size))
