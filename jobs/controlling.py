"""What control has to offer, as JSON, and what a preprocessor makes of an upload."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines import pictures
from pipelines.control import PREPROCESSORS, ControlShelf, preprocessed
from pipelines.control.palette import ade20k
from pipelines.control.sizes import ResizeMode
from pipelines.families import FAMILIES

from .store import Store
from .views import BlobView

if TYPE_CHECKING:
    from pipelines.catalog import Catalog


class Controlling:
    """Thread-safe; torch-free, so that it runs beside the page."""

    def __init__(self, catalog: "Catalog", store: Store) -> None:
        self._shelf = ControlShelf(catalog.roots)
        self._store = store

    def offered(self) -> dict[str, Any]:
        """Preprocessors with their parameters, ControlNets as they lie in the folders now, and the colours of segmentation."""
        return {
            "preprocessors": [
                {
                    "name": name,
                    "title": each.title,
                    "description": each.description,
                    "steering": each.steering,
                    "suits": list(each.suits),
                    "changes": bool(each.make),
                    "parameters": [
                        {"name": key, "title": rule.title, "description": rule.description, "default": rule.default}
                        | {"low": rule.low, "high": rule.high, "step": rule.step}
                        for key, rule in each.parameters.items()
                    ],
                }
                for name, each in PREPROCESSORS.items()
            ],
            "controlnets": [
                {"name": info.name, "title": info.title, "family": info.family, "family_title": _title(info.family), "broken": info.broken}
                for info in self._shelf.all()
            ],
            "segmentation": [{"name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour)} for name, colour in ade20k()],
        }

    def preview(
        self,
        image: str,
        preprocessor: str,
        parameters: Mapping[str, float],
        size: tuple[int, int],
        resize_mode: ResizeMode,
        resolution: int | None,
    ) -> BlobView:
        """The map that would steer a picture of `size`, kept as an upload. Raises NotHere, BadPicture, InvalidRequest, StorageError."""
        picture = pictures.open_rgb(self._store.blobs.read(image))
        made = preprocessed(picture, preprocessor, parameters, size, resize_mode, resolution)
        file = io.BytesIO()
        made.save(file, "PNG")
        return BlobView(self._store.keep_upload(file.getvalue()), made.width, made.height, "PNG")


def _title(family: str | None) -> str | None:
    return FAMILIES[family].title if family in FAMILIES else None
