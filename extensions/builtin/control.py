"""Control: pictures that steer what is painted, by ControlNets, by their coarse layout, or by being looked at.

Papers: Adding Conditional Control to Text-to-Image Diffusion Models (Zhang et al. 2023), https://arxiv.org/abs/2302.05543; ILVR
(Choi et al. 2021), https://arxiv.org/abs/2108.02938
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from extensions.hookspecs import hookimpl
from pipelines.control import PREPROCESSORS, ControlParams, ControlShelf, ControlUnit, NetworkShelf
from pipelines.control.fitting import require_listed_fit
from pipelines.errors import CheckpointError, InvalidRequest, UnknownName
from pipelines.modifiers import Around, Modifier

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from pipelines.catalog import Catalog
    from pipelines.components import Components
    from pipelines.control.using import Kit


class Control(Modifier):
    name = "control"
    title = "Control"
    Params = ControlParams
    denoisers = frozenset({"UNet2DConditionModel"})
    shown = False
    mounted = True

    def __init__(self) -> None:
        self._kit: Kit | None = None  # in the engine's process only

    def check(self, params: ControlParams, catalog: "Catalog", checkpoint: str) -> None:
        for number, unit in enumerate(params.units, start=1):
            if not unit.acts or unit.is_reference:
                continue
            try:
                _check(unit, catalog, checkpoint)
            except UnknownName:
                raise  # it lists the names that there are
            except (CheckpointError, InvalidRequest) as error:
                raise InvalidRequest(f"Control {number}: {error}", "modifiers") from None

    def kept_bytes(self) -> int:
        return self._kit.kept_bytes() if self._kit else 0

    def spare(self) -> bool:
        return self._kit.spare() if self._kit else False

    def pictures(self, params: ControlParams) -> tuple[str, ...]:
        return tuple(unit.image for unit in params.acting)

    def around(
        self, components: "Components", params: ControlParams, catalog: "Catalog", blobs: Callable[[str], bytes]
    ) -> AbstractContextManager[Around | None]:
        from pipelines.control.using import Kit, steered  # the page reads `Params` without torch

        self._kit = self._kit or Kit()
        return steered(components, params, catalog, blobs, self._kit)

    def draw(
        self, params: ControlParams, size: tuple[int, int], device: "torch.device", catalog: "Catalog", blobs: Callable[[str], bytes]
    ) -> "Image":
        """The map of the first unit."""
        from pipelines.control.using import Kit, drawn

        self._kit = self._kit or Kit()
        return drawn(params.units[0], size, catalog, blobs, device, self._kit)


def _check(unit: ControlUnit, catalog: "Catalog", checkpoint: str) -> None:
    """Raises `StudioError` for a unit that names what is not there, or lacks what it needs."""
    made = PREPROCESSORS[unit.preprocessor]
    if made.network:
        NetworkShelf(catalog.roots).chosen(made.network, unit.network)
    if unit.model:
        require_listed_fit(ControlShelf(catalog.roots).find(unit.model), catalog, checkpoint)
    elif made.steering == "model":
        told = f"{made.title} steers by way of a ControlNet, and none is chosen; those in models/controlnet can be."
        raise InvalidRequest(told, "modifiers")


@hookimpl
def modifiers() -> Iterable[Modifier]:
    return [Control()]
