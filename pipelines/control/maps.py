"""What steers a job, made once for each size that its passes have: as pixels for ControlNets, as latents for what looks at those."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from ..components import Components
from ..denoise import Part, Row
from ..encode import encoded_picture, pixels_of
from ..pictures import open_rgb
from .estimates import Estimate
from .preprocessors import preprocessed
from .units import ControlUnit

_KEPT = 64  # of each kind: the parts of a picture that is made in tiles
Made = TypeVar("Made", Tensor, Image.Image)


class Maps:
    """`blobs` gives the bytes of a picture by its id, `told` what a network tells of a unit's picture, where its map is made of that."""

    def __init__(
        self, components: Components, blobs: Callable[[str], bytes], told: Callable[[ControlUnit], Estimate | None] = lambda unit: None
    ) -> None:
        self._components = components
        self._blobs = blobs
        self._told = told
        self._made: OrderedDict[tuple[object, ...], Tensor | Image.Image] = OrderedDict()  # the least recently used first

    def pixels(self, unit: ControlUnit, latents: Tensor, rows: Sequence[Row]) -> Tensor:
        """(rows, 3, H, W) in 0..1 for a pass over `latents` (b, c, h, w), in the model's dtype."""
        on, dtype = self._components.device, self._components.dtype
        return self._rows("pixels", unit, latents, rows, lambda picture: pixels_of(picture).to(on, dtype))

    def latents(self, unit: ControlUnit, latents: Tensor, rows: Sequence[Row]) -> Tensor:
        """(rows, c, h, w), float32: the most likely latents of the unit's picture."""
        return self._rows("latents", unit, latents, rows, lambda picture: encoded_picture(picture, self._components))

    def _rows(self, kind: str, unit: ControlUnit, latents: Tensor, rows: Sequence[Row], make: Callable[[Image.Image], Tensor]) -> Tensor:
        height, width = latents.shape[-2:]
        scale = self._components.vae_scale_factor
        size = (width * scale, height * scale)
        # units live as long as their job's parameters, and this no longer
        made = [self._once((kind, id(unit), size, row.part), lambda row=row: make(self.picture(unit, size, row.part))) for row in rows]
        return torch.cat(made).contiguous()

    def picture(self, unit: ControlUnit, size: tuple[int, int], part: Part | None = None) -> Image.Image:
        """RGB, `size` (width, height): the map, or that part of it that a round makes anew. Raises `BadPicture`."""
        if part is None:
            return self._map(unit, size)
        left, top, right, bottom = part
        whole = (max(size[0], round(size[0] / (right - left))), max(size[1], round(size[1] / (bottom - top))))
        made = self._once(("map", id(unit), whole), lambda: self._map(unit, whole))
        across, down = min(round(left * whole[0]), whole[0] - size[0]), min(round(top * whole[1]), whole[1] - size[1])
        return made.crop((across, down, across + size[0], down + size[1]))

    def _map(self, unit: ControlUnit, size: tuple[int, int]) -> Image.Image:
        return mapped(unit, size, self._blobs, self._told(unit))

    def _once(self, key: tuple[object, ...], make: Callable[[], Made]) -> Made:
        if key not in self._made:
            self._made[key] = make()
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return self._made[key]  # type: ignore[return-value]


def mapped(unit: ControlUnit, size: tuple[int, int], blobs: Callable[[str], bytes], estimate: Estimate | None) -> Image.Image:
    """What steers a picture of `size` (width, height), RGB. Raises `BadPicture`, `InvalidRequest`."""
    resolution = None if unit.pixel_perfect else unit.resolution
    picture = open_rgb(blobs(unit.image))
    return preprocessed(picture, unit.preprocessor, unit.parameters, size, unit.resize_mode, resolution, estimate)
