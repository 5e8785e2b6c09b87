"""The families of models that can be run, by name. Free of torch: their code is loaded where it runs."""

from collections.abc import Mapping

from .family import Family, FileLayout, Signature
from .sd import SD1, SD2

FAMILIES: Mapping[str, Family] = {family.name: family for family in (SD2, SD1)}  # asked in this order: the more particular first

__all__ = ["FAMILIES", "Family", "FileLayout", "Signature"]
