"""Control: pictures that steer what is painted, by ControlNets, by their coarse layout, or by being looked at.

Papers: Adding Conditional Control to Text-to-Image Diffusion Models (Zhang et al. 2023), https://arxiv.org/abs/2302.05543; ILVR
(Choi et al. 2021), https://arxiv.org/abs/2108.02938
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from extensions.hookspecs import hookimpl
from pipelines.control import PREPROCESSORS, ControlParams, ControlShelf
from pipelines.control.fitting import require_listed_fit
from pipelines.errors import CheckpointError, InvalidRequest, UnknownName
from pipelines.modifiers import Around, Modifier

if TYPE_CHECKING:
    from pipelines.catalog import Catalog
    from pipelines.components import Components
    from pipelines.control.nets import ControlNets


class Control(Modifier):
    name = "control"
    title = "Control"
    Params = ControlParams
    shown = False
    mounted = True

    def __init__(self) -> None:
        self._nets: ControlNets | None = None  # in the engine's process only

    def check(self, params: ControlParams, catalog: "Catalog", checkpoint: str) -> None:
        shelf = ControlShelf(catalog.roots)
        for number, unit in enumerate(params.units, start=1):
            if not unit.acts or unit.is_reference:
                continue
            made = PREPROCESSORS[unit.preprocessor]
            if unit.model:
                try:
                    require_listed_fit(shelf.find(unit.model), catalog, checkpoint)
                except UnknownName:
                    raise  # it lists the names that there are
                except (CheckpointError, InvalidRequest) as error:
                    raise InvalidRequest(f"Control {number}: {error}", "modifiers") from None
            elif made.steering == "model":
                raise InvalidRequest(
                    f"Control {number}: {made.title} steers by way of a ControlNet, and none is chosen; those in models/controlnet can be.",
                    "modifiers",
                )

    def kept_bytes(self) -> int:
        return self._nets.kept_bytes() if self._nets else 0

    def spare(self) -> bool:
        return self._nets.spare() if self._nets else False

    def pictures(self, params: ControlParams) -> tuple[str, ...]:
        return tuple(unit.image for unit in params.acting)

    def around(
        self, components: "Components", params: ControlParams, catalog: "Catalog", blobs: Callable[[str], bytes]
    ) -> AbstractContextManager[Around | None]:
        from pipelines.control.nets import ControlNets  # the page reads `Params` without torch
        from pipelines.control.using import steered

        self._nets = self._nets or ControlNets()
        return steered(components, params, catalog, blobs, self._nets)


@hookimpl
def modifiers() -> Iterable[Modifier]:
    return [Control()]
