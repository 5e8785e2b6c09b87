"""What a picture asks for between its forward passes, and how it is done: enlarging, stitching, encoding."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from .components import Components
from .decode import decode
from .encode import latents_of, source
from .enlarge import enlarge
from .plan import EncodePicture, Enlarge
from .rounds import Round
from .upscalers.tiles import Progress
from .upscalers.using import upscaling

if TYPE_CHECKING:
    from .catalog import Catalog


@dataclass(frozen=True, eq=False)
class Enlarging:
    """Asks for `latents` (1, c, h, w) as `stage` wants them."""

    latents: Tensor
    stage: Enlarge


@dataclass(frozen=True, eq=False)
class Stitching:
    """Asks for the canvas (RGB) with what came of a round, its final `latents` (1, c, h, w), laid into it."""

    latents: Tensor
    round: Round
    canvas: Image.Image | None


@dataclass(frozen=True, eq=False)
class Encoding:
    """Asks for the `Source` of the round that comes next."""

    canvas: Image.Image
    round: Round
    stage: EncodePicture


@dataclass(frozen=True, eq=False)
class Latents:
    """Asks for the most likely latents (1, c, h, w), in the VAE's own scale, of `pixels` (1, 3, h, w) in -1..1."""

    pixels: Tensor


@dataclass(frozen=True, eq=False)
class Upscaling:
    """Asks for `picture` (RGB) at `size` (width, height), by an upscaler of pictures."""

    picture: Image.Image
    upscaler: str
    size: tuple[int, int]


Chore = Enlarging | Stitching | Encoding | Latents | Upscaling


@torch.no_grad()
def doing(asked: Chore, components: Components, catalog: "Catalog") -> Generator[Progress, None, Any]:
    """Gives what was asked for; what takes long tells its progress. Raises `UnknownName`, `OutOfMemory`, `BadNumbers`."""
    match asked:
        case Upscaling():
            return (yield from upscaling(asked.picture, asked.upscaler, asked.size, components.device, catalog))
        case Enlarging():
            return enlarge(asked.latents, asked.stage, components, catalog)
        case Stitching():
            return asked.round.stitched(decode(asked.latents, components), asked.canvas)
        case Encoding():
            return source(asked.stage, asked.round, asked.canvas, components)
        case Latents():
            return latents_of(asked.pixels, components)
