"""The families of models that can be run, by name. Free of torch: their code is loaded where it runs."""

from collections.abc import Mapping

from .cascade import CASCADE
from .family import Family, Parted
from .pixart import PIXART_SIGMA
from .sd import SD1, SD2
from .sd3 import SD3
from .sdxl import SDXL, SDXL_REFINER
from .svd import SVD

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (CASCADE, SVD, PIXART_SIGMA, SD3, SDXL_REFINER, SDXL, SD2, SD1)  # asked in this order: the more particular first
}

__all__ = ["FAMILIES", "Family", "Parted"]
