"""Latents made larger, as A1111's "Latent" upscalers do."""

from torch import Tensor
from torch.nn import functional as F

from .shelf import Upscaler
from .sizes import covering


def interpolated(latents: Tensor, size: tuple[int, int], upscaler: Upscaler) -> Tensor:
    """Latents (b, c, h, w) of any size as (b, c, *size), in their own dtype; `size` is (height, width) in latents.

    Where the proportions differ, what is too much is cut evenly from two sides.
    """
    height, width = size
    old_height, old_width = latents.shape[-2:]
    left, top, right, bottom = covering((old_width, old_height), (width, height))
    grown = (round(old_height * height / (bottom - top)), round(old_width * width / (right - left)))
    # bicubic filters are not made for half precision everywhere
    larger = F.interpolate(latents.float(), size=grown, mode=upscaler.mode, antialias=upscaler.antialias).to(latents.dtype)
    first_row, first_column = (grown[0] - height) // 2, (grown[1] - width) // 2
    return larger[..., first_row : first_row + height, first_column : first_column + width]
