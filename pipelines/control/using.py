"""A job's units in force: their networks asked, their ControlNets loaded and checked, and what is put around its predictions."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from ..components import Components
from ..denoise import Predict
from ..modifiers import Around, Prediction
from .estimates import Estimate
from .estimating import Networks
from .fitting import require_fit
from .layout import LaidOut
from .maps import Maps, mapped
from .nets import ControlNets
from .reference import Referring
from .residuals import Controlled
from .shelf import ControlShelf, NetworkShelf
from .units import ControlParams, ControlUnit

if TYPE_CHECKING:
    from ..catalog import Catalog


class Kit:
    """What is kept from job to job, in the engine's process only."""

    def __init__(self) -> None:
        self.nets = ControlNets()
        self.networks = Networks()

    def kept_bytes(self) -> int:
        return self.nets.kept_bytes() + self.networks.kept_bytes()

    def spare(self) -> bool:
        freed = [kept.spare() for kept in (self.nets, self.networks)]
        return any(freed)

    def told(self, unit: ControlUnit, catalog: "Catalog", blobs: Callable[[str], bytes], device: torch.device) -> Estimate | None:
        """What the unit's network tells of its picture, None where its map is made without one. Raises `StudioError`."""
        if unit.network_task is None:
            return None
        info = NetworkShelf(catalog.roots).chosen(unit.network_task, unit.network)
        return self.networks.told(info, unit.image, blobs, device)


def drawn(
    unit: ControlUnit, size: tuple[int, int], catalog: "Catalog", blobs: Callable[[str], bytes], device: torch.device, kit: Kit
) -> Image.Image:
    """The unit's map for a picture of `size` (width, height), RGB. Raises `StudioError`."""
    return mapped(unit, size, blobs, kit.told(unit, catalog, blobs, device))


@contextmanager
def steered(
    components: Components, params: ControlParams, catalog: "Catalog", blobs: Callable[[str], bytes], kit: Kit
) -> Iterator[Around | None]:
    """What is put around predictions of the job's own checkpoint, None where no unit acts.

    Raises `InvalidRequest` for a ControlNet of another kind of checkpoint, `UnknownName`, `CheckpointError`, `OutOfMemory`.
    """
    units = params.acting
    if not units:
        yield None
        return
    # all at once, and before the ControlNets come: so the two need not be in memory together
    told = {id(unit): kit.told(unit, catalog, blobs, components.device) for unit in units}
    maps = Maps(components, blobs, lambda unit: told[id(unit)])
    references = [unit for unit in units if unit.is_reference]
    named = [unit for unit in units if unit.model and not unit.is_reference]
    laid_out = [unit for unit in units if not unit.model and not unit.is_reference]
    with ExitStack() as held:
        shelf = ControlShelf(catalog.roots) if named else None
        loaded = {}
        for unit in named:
            assert shelf is not None
            if unit.model not in loaded:
                info = shelf.find(unit.model)
                require_fit(info, components)
                loaded[unit.model] = held.enter_context(kit.nets.on(info, components.device, components.dtype))
        controlled = Controlled([(unit, loaded[unit.model]) for unit in named], maps) if named else None
        referring = Referring(references, maps, components) if references else None
        keeping = LaidOut(laid_out, maps, components) if laid_out else None

        def around(predict: Prediction) -> Prediction:
            whole = controlled(predict) if controlled else predict
            whole = referring.around(predict, whole) if referring else whole
            whole = keeping(whole) if keeping else whole

            def own_only(asked: Predict, of: Components) -> Tensor:
                return predict(asked, of) if asked.model or asked.denoiser else whole(asked, of)

            return own_only

        yield around
