"""Upscalers by name, for the rooms that need not know what is behind one; torch is imported where it runs."""

from collections.abc import Generator
from typing import TYPE_CHECKING

from ..errors import InvalidRequest
from .reading import UpscalerInfo
from .shelf import UPSCALERS, UpscalerShelf, is_latent
from .sizes import Size

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from ..catalog import Catalog
    from .tiles import Progress


def upscaling(
    picture: "Image.Image", upscaler: str, size: Size, device: "torch.device", catalog: "Catalog", tile: int | None = None
) -> "Generator[Progress, None, Image.Image]":
    """The picture at `size` (width, height), RGB, or RGBA where it is transparent; yields progress, and ends early when closed.

    A network runs on `device`, in half precision where that is a GPU, in windows of `tile` pixels (by default what fits into
    memory). Where the proportions differ, what is too much is cut evenly from two sides. Raises `UnknownName`,
    `InvalidRequest` for an upscaler of latents, `CheckpointError`, `OutOfMemory`, `BadNumbers`.
    """
    import torch  # the page process lists upscalers without it

    from .loading import load
    from .pictures import enlarging

    if is_latent(upscaler):
        raise InvalidRequest(f"upscaler {upscaler!r} enlarges latents, not finished pictures.", "upscaler")
    found = UPSCALERS[upscaler] if upscaler in UPSCALERS else UpscalerShelf(catalog.roots).find(upscaler)
    if isinstance(found, UpscalerInfo):
        found = load(found, device, torch.float16 if device.type == "cuda" else torch.float32)
    return (yield from enlarging(picture, found, size, tile))


def upscale(picture: "Image.Image", upscaler: str, size: Size, device: "torch.device", catalog: "Catalog") -> "Image.Image":
    """`upscaling` from beginning to end."""
    steps = upscaling(picture, upscaler, size, device, catalog)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def upscale_latents(latents: "torch.Tensor", size: tuple[int, int], upscaler: str) -> "torch.Tensor":
    """Latents (b, c, h, w) as (b, c, *size), in their own dtype; `size` is (height, width) in latents.

    Raises `InvalidRequest` for an upscaler of pictures.
    """
    from .latents import interpolated  # imports torch

    if not is_latent(upscaler):
        raise InvalidRequest(f"upscaler {upscaler!r} enlarges pictures, not latents.", "upscaler")
    return interpolated(latents, size, UPSCALERS[upscaler])
