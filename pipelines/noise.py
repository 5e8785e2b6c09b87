"""The random numbers of one picture, and the noise it starts from: its seed's, turned towards another's, or laid out as at another size.

The arithmetic of variations and sizes is A1111's, so that a picture made there can be varied here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .errors import InvalidRequest
from .samplers.philox import Numbers, Philox, anew, in_torch, normal

if TYPE_CHECKING:
    from .request import Request

NEARLY_EQUAL = 0.9995
"""Above this cosine two noises are mixed along the straight line, as the arc between them has no direction."""


@dataclass(frozen=True)
class Starting:
    """How starting noise is drawn: by whom, how far (0 to 1) it is turned towards the noise of the variation seed, and for which
    (height, width) of latents it was laid out at first, None for the picture's own."""

    source: str = "cpu"
    variation: float = 0.0
    laid_out_for: tuple[int, int] | None = None

    @classmethod
    def of(cls, request: "Request", scale: int) -> "Starting":
        """`scale` is how many pixels a latent has along one side. Raises `InvalidRequest` for a size of one side."""
        sides = request.seed_resize_from_width, request.seed_resize_from_height
        if any(sides) and not all(sides):
            names = "seed_resize_from_width and seed_resize_from_height"
            raise InvalidRequest(f"{names} go together; got {sides[0]} and {sides[1]}.", "seed_resize_from_width")
        height, width = request.seed_resize_from_height // scale, request.seed_resize_from_width // scale
        return cls(request.noise_source, request.variation_strength, (height, width) if height and width else None)


PLAIN = Starting()


def source_on(source: str, device: torch.device | str) -> str:
    """Who draws where `source` is asked for: "gpu" is the device itself where it is a CUDA one, and the CPU elsewhere, as in A1111."""
    return "cpu" if source == "gpu" and torch.device(device).type != "cuda" else source


def numbers_of(source: str, seed: int, device: torch.device | str) -> Numbers:
    """The generator of a picture."""
    if source == "nv":
        return Philox(seed)
    return torch.Generator(device if source_on(source, device) == "gpu" else "cpu").manual_seed(seed)


class Draws:
    """All that is random in a picture: `numbers` go on from draw to draw, `torch` is for code that draws by itself."""

    def __init__(self, how: Starting, seed: int, variation_seed: int = 0, device: torch.device | str = "cpu") -> None:
        self.numbers = numbers_of(how.source, seed, device)
        self._how = how
        self._seeds = seed, variation_seed

    @property
    def torch(self) -> torch.Generator:
        return in_torch(self.numbers)

    def starting(self, shape: Sequence[int]) -> Tensor:
        """Unit normal noise (1, *shape), where `shape` ends with height and width.

        Noise of another seed or for another size is the first that its seed gives; a size is laid into the middle of noise of this
        shape, or cut out of its own middle.
        """
        whole = normal((1, *shape), self.numbers)
        size = self._how.laid_out_for
        other = size is not None and size != tuple(shape[-2:])
        wanted = (1, *shape[:-2], *size) if size is not None and other else (1, *shape)
        noise = self._first(0, wanted) if other else whole
        if self._how.variation:
            noise = slerp(self._how.variation, noise, self._first(1, wanted))
        return laid_into(whole, noise) if other else noise

    def _first(self, which: int, shape: Sequence[int]) -> Tensor:
        return normal(shape, anew(self.numbers, self._seeds[which]))


def slerp(share: float, low: Tensor, high: Tensor) -> Tensor:
    """From `low` to `high` (1, c, h, w), both of unit normal noise, along the arc between their columns.

    A1111 takes the noise of one picture (c, h, w) along its second axis, so it is columns that keep their length; where the two
    are all but equal it goes the other way round, which is kept.
    """
    low_unit, high_unit = (each / torch.norm(each, dim=-2, keepdim=True) for each in (low, high))
    cosine = (low_unit * high_unit).sum(-2, keepdim=True)
    if cosine.mean() > NEARLY_EQUAL:
        return low * share + high * (1 - share)
    angle = torch.acos(cosine)
    return (torch.sin((1 - share) * angle) * low + torch.sin(share * angle) * high) / torch.sin(angle)


def laid_into(whole: Tensor, noise: Tensor) -> Tensor:
    """`noise` in the middle of `whole`; what is larger is cut on both sides alike. Both (1, c, h, w)."""
    across, from_x = _middle(whole.shape[-1], noise.shape[-1])
    down, from_y = _middle(whole.shape[-2], noise.shape[-2])
    laid = whole.clone()
    laid[..., down, across] = noise[..., from_y, from_x]
    return laid


def _middle(whole: int, part: int) -> tuple[slice, slice]:
    """Where the part lies in the whole, and which of it."""
    shift = (whole - part) // 2
    if shift >= 0:
        return slice(shift, shift + part), slice(0, part)
    kept = part + 2 * shift
    return slice(0, kept), slice(-shift, -shift + kept)
