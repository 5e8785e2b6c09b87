"""A job's units in force: their ControlNets loaded and checked, and what is put around its predictions."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from torch import Tensor

from ..components import Components
from ..denoise import Predict
from ..modifiers import Around, Prediction
from .fitting import require_fit
from .layout import LaidOut
from .maps import Maps
from .nets import ControlNets
from .reference import Referring
from .residuals import Controlled
from .shelf import ControlShelf
from .units import ControlParams

if TYPE_CHECKING:
    from ..catalog import Catalog


@contextmanager
def steered(
    components: Components, params: ControlParams, catalog: "Catalog", blobs: Callable[[str], bytes], nets: ControlNets
) -> Iterator[Around | None]:
    """What is put around predictions of the job's own checkpoint, None where no unit acts.

    Raises `InvalidRequest` for a ControlNet of another kind of checkpoint, `UnknownName`, `CheckpointError`, `OutOfMemory`.
    """
    units = params.acting
    if not units:
        yield None
        return
    maps = Maps(components, blobs)
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
                loaded[unit.model] = held.enter_context(nets.acquire(info, components.device, components.dtype))
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
