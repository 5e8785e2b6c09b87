"""What inpainting keeps: the known part while the latents develop, and the untouched pixels afterwards."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter
from torch import Tensor

from .samplers import Stepped

FEATHER_PER_SIDE = 1 / 160
"""Width of the soft edge inside the repainted part, as a share of the picture's longer side: 3 pixels at 512."""


@dataclass(frozen=True, eq=False)
class Known:
    """The part of the latents that is kept: where `mask` (1, 1, h, w) is 0 they follow `latents` (1, c, h, w) with `noise`."""

    latents: Tensor
    noise: Tensor
    mask: Tensor

    def blend(self, developed: Tensor, kept: Tensor) -> Tensor:
        return (1 - self.mask) * kept + self.mask * developed

    def shown(self, step: Stepped) -> Stepped:
        return replace(step, denoised=self.blend(step.denoised, self.latents))


def paste(made: Image.Image, source: Image.Image, mask: Image.Image) -> Image.Image:
    """`made` within the white of `mask`, `source` to the bit where it is black; as large as the source.

    `made` is resized to the source; its edge is softened only towards the inside of the white part.
    """
    made = made if made.size == source.size else made.resize(source.size, Image.Resampling.LANCZOS)
    pasted = source.convert("RGB").copy()
    pasted.paste(made, mask=feather(mask.convert("L"), max(1, round(max(source.size) * FEATHER_PER_SIDE))))
    return pasted


def feather(mask: Image.Image, width: int) -> Image.Image:
    """`mask` (L) falling to its edge over at most `width` pixels inside the white; black stays 0, and thin strokes stay white.

    The edge of the picture is no edge of the mask.
    """
    box = mask.getbbox()
    if box is None:
        return mask
    left, top, right, bottom = box
    box = (max(left - 1, 0), max(top - 1, 0), min(right + 1, mask.width), min(bottom + 1, mask.height))
    layers = [mask.crop(box)]
    while len(layers) <= width:
        inner = layers[-1].filter(ImageFilter.MinFilter(3))
        if inner.getextrema()[1] < 255:
            break
        layers.append(inner)
    soft = sum(np.asarray(layer, dtype=np.float32) for layer in layers) / len(layers)
    feathered = Image.new("L", mask.size)
    feathered.paste(Image.fromarray(np.minimum(soft.round(), np.asarray(layers[0])).astype(np.uint8)), box)
    return feathered
