"""A network over a picture of any size: window by window, without a seam, within the memory there is."""

import logging
from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt

import psutil
import torch
from torch import Tensor

from ..decode import free_memory, is_out_of_memory
from ..errors import BadNumbers, OutOfMemory
from ..transfer import to_main
from .loading import Network

log = logging.getLogger(__name__)

OVERLAP = 32
"""Pixels that neighbouring windows share: a quarter at each end is only context, the half between is blended."""
SMALLEST = 3 * OVERLAP
LARGEST = 1024
LARGEST_ON_CPU = 192  # larger ones are no faster there, and take longer to be cancelled
_SHARE = 0.5  # of the memory that is free


@dataclass(frozen=True)
class Progress:
    """`done` of `total` windows of one pass. It starts anew, with smaller windows, where memory has run out."""

    done: int
    total: int


@dataclass(frozen=True)
class Span:
    """A window along one axis, in pixels of the small picture, with how many it shares with the one before and after."""

    start: int
    stop: int
    before: int
    after: int

    @property
    def length(self) -> int:
        return self.stop - self.start


def spans(size: int, tile: int, align: int = 1) -> list[Span]:
    """Windows of at most `tile` (≥ `SMALLEST`) pixels over `size`, each `OVERLAP` into the next, begun at multiples of `align` (1, 2, 4).

    No more than two share a pixel.
    """
    if size <= tile:
        return [Span(0, size, 0, 0)]
    count = -(-size // (tile - OVERLAP - align))
    edges = [round(index * size / count / align) * align for index in range(count)]
    half = OVERLAP // 2
    first = Span(0, edges[1] + half, 0, OVERLAP)
    middle = [Span(start - half, stop + half, OVERLAP, OVERLAP) for start, stop in pairwise(edges[1:])]
    return [first, *middle, Span(edges[-1] - half, size, OVERLAP, 0)]


def weights(span: Span, scale: int) -> Tensor:
    """How much each of a window's `length * scale` lines counts; those of all windows over a line add up to 1."""
    found = torch.ones(span.length * scale)
    shared = OVERLAP * scale
    ramp = ((torch.arange(shared) + 0.5 - shared / 4) / (shared / 2)).clamp(0, 1)
    if span.before:
        found[:shared] *= ramp
    if span.after:
        found[-shared:] *= ramp.flip(0)
    return found


def fitting_tile(network: Network, free: int) -> int:
    """The side of the largest window that `free` bytes allow."""
    each = network.alive * network.dtype.itemsize
    most = LARGEST_ON_CPU if network.device.type == "cpu" else LARGEST
    return max(SMALLEST, min(most, isqrt(int(free * _SHARE) // each)))


def enlarge(network: Network, pixels: Tensor, tile: int | None = None) -> Generator[Progress, None, Tensor]:
    """`pixels` (h, w, 3), uint8, on the CPU, as (h·scale, w·scale, 3); yields after every window, and ends early when closed.

    `tile` is the side of the first windows tried (by default what fits into memory), at least `SMALLEST`. Without memory for
    them smaller ones follow, then the CPU; invalid numbers in half precision are computed again in float32. Raises
    `OutOfMemory` or `BadNumbers` when nothing helped.
    """
    device, dtype = network.device, network.dtype
    tile = max(SMALLEST, tile or fitting_tile(network, _free(device)))
    while True:
        try:
            return (yield from _windows(network.on(device, dtype), pixels, tile))
        except BadNumbers:
            if dtype == torch.float32:
                raise
            log.warning("The upscaler %s gave invalid numbers in %s; running it again in float32", network.name, dtype)
            dtype = torch.float32
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            log.warning("Not enough memory to run the upscaler %s on %s in windows of %s", network.name, device, tile)
            if tile > SMALLEST:
                tile = max(SMALLEST, tile // 2)
            elif device.type != "cpu":
                device, dtype = torch.device("cpu"), torch.float32
            else:
                raise OutOfMemory("There is not enough memory to enlarge this picture, not even in small windows.") from None
        free_memory()


def _windows(network: Network, pixels: Tensor, tile: int) -> Generator[Progress, None, Tensor]:
    """Band by band, so that only one row of windows is held in floats."""
    scale, (height, width, _) = network.scale, pixels.shape
    rows, columns = spans(height, tile, network.align), spans(width, tile, network.align)
    whole = torch.empty((height * scale, width * scale, 3), dtype=torch.uint8)
    shared = torch.zeros(3, 0, width * scale)
    done = 0
    for row in rows:
        band = torch.zeros(3, row.length * scale, width * scale)
        band[:, : shared.shape[1]] = shared
        for column in columns:
            window = _run(network, pixels[row.start : row.stop, column.start : column.stop])
            window *= weights(row, scale)[:, None] * weights(column, scale)
            band[..., column.start * scale : column.stop * scale] += window
            done += 1
            yield Progress(done, len(rows) * len(columns))
        finished = (row.length - row.after) * scale
        whole[row.start * scale :][:finished] = band[:, :finished].clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0)
        shared = band[:, finished:]
    return whole


@torch.no_grad()
def _run(network: Network, pixels: Tensor) -> Tensor:
    """(h, w, 3) uint8 → (3, h·scale, w·scale) float32 on the CPU."""
    asked = pixels.permute(2, 0, 1)[None].to(network.device, network.dtype) / 255
    if network.channels == 1:  # made for grey: each colour by itself
        asked = asked.transpose(0, 1)
    given = network.module(asked)
    if not bool(torch.isfinite(given).all()):
        raise BadNumbers(f"The upscaler {network.name} gave invalid numbers (NaN) and no picture.")
    return to_main(given.float()).reshape(3, *given.shape[-2:])


def _free(device: torch.device) -> int:
    """Bytes that are free on `device`, with those that torch keeps for later."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return psutil.virtual_memory().available
