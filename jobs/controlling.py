"""What control has to offer, as JSON, and what a preprocessor makes of an upload."""

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pipelines import pictures
from pipelines.control import PREPROCESSORS, ControlShelf, NetworkShelf, fitting, preprocessed
from pipelines.control.networks import EXAMPLES, Task, missing
from pipelines.control.palette import ade20k
from pipelines.control.preprocessors import Preprocessor, find
from pipelines.control.reading import ControlInfo
from pipelines.control.sizes import ResizeMode
from pipelines.families import FAMILIES

from .store import Store
from .views import BlobView

if TYPE_CHECKING:
    from pipelines.catalog import Catalog


class Controlling:
    """Thread-safe; torch-free, so that it runs beside the page. What takes a network is `made` by the engine: of a modifier's name, its
    parameters and a size, as PNG."""

    def __init__(self, catalog: "Catalog", store: Store, made: Callable[[str, Mapping[str, Any], tuple[int, int]], bytes]) -> None:
        self._catalog = catalog
        self._shelf = ControlShelf(catalog.roots)
        self._networks = NetworkShelf(catalog.roots)
        self._store = store
        self._made = made

    def offered(self, checkpoint: str = "") -> dict[str, Any]:
        """Preprocessors with their parameters, ControlNets as they lie in the folders now, with why those do not fit that do not go with
        `checkpoint`, if one is named, and the colours of segmentation."""
        nets = self._shelf.all()
        misfits = fitting.misfits(nets, self._catalog, checkpoint) if checkpoint else {}
        return {
            "preprocessors": [self._preprocessor(name, each) for name, each in PREPROCESSORS.items()],
            "controlnets": [_net(info) | {"misfit": misfits.get(info.name)} for info in nets],
            "segmentation": [{"name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour)} for name, colour in ade20k()],
        }

    def _preprocessor(self, name: str, each: Preprocessor) -> dict[str, Any]:
        networks = self._networks.usable(each.network) if each.network else []
        return {
            "name": name,
            "title": each.title,
            "description": each.description,
            "steering": each.steering,
            "suits": list(each.suits),
            "changes": bool(each.make),
            "sized": bool(each.make) and not each.network,
            "networks": [{"name": info.name, "title": info.title} for info in networks],
            "missing": _missing(each.network) if each.network and not networks else None,
            "parameters": [
                {"name": key, "title": rule.title, "description": rule.description, "default": rule.default}
                | {"low": rule.low, "high": rule.high, "step": rule.step}
                for key, rule in each.parameters.items()
            ],
        }

    def preview(
        self,
        image: str,
        preprocessor: str,
        parameters: Mapping[str, float],
        size: tuple[int, int],
        resize_mode: ResizeMode,
        resolution: int | None,
        network: str = "",
    ) -> BlobView:
        """The map that would steer a picture of `size`, kept as an upload; one that takes a network waits for the engine. Raises
        NotHere, StudioError."""
        picture = pictures.open_rgb(self._store.blobs.read(image))
        if task := find(preprocessor).network:
            self._networks.chosen(task, network)  # what is wrong is told at once
            unit = {"image": image, "preprocessor": preprocessor, "parameters": dict(parameters), "network": network}
            made = self._made("control", {"units": [{**unit, "resize_mode": resize_mode}]}, size)
        else:
            file = io.BytesIO()
            preprocessed(picture, preprocessor, parameters, size, resize_mode, resolution).save(file, "PNG")
            made = file.getvalue()
        return BlobView(self._store.keep_upload(made), *size, "PNG")


def _title(family: str | None) -> str | None:
    return FAMILIES[family].title if family in FAMILIES else None


def _net(info: ControlInfo) -> dict[str, Any]:
    return {"name": info.name, "title": info.title, "family": info.family, "family_title": _title(info.family), "broken": info.broken}


def _missing(task: Task) -> dict[str, str]:
    return {"sentence": missing(task), "example": EXAMPLES[task]}
