"""What a modifier shows of its parameters, such as a map for a ControlNet, made by the engine without a job."""

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch

from . import modifiers
from .decode import is_out_of_memory
from .errors import OutOfMemory
from .events import Drawn
from .failures import sentence
from .inbox import Draw
from .modifiers import Modifier

if TYPE_CHECKING:
    from .manager import PipelineManager


def drawn(order: Draw, known: Mapping[str, Modifier], manager: "PipelineManager", blobs: Callable[[str], bytes]) -> Drawn:
    """The answer; never raises. Where memory is short it is tried again once nothing is held that nobody uses."""
    try:
        return _made(order, known, manager, blobs)
    except Exception as error:
        if not (isinstance(error, OutOfMemory) or is_out_of_memory(error)):
            return Drawn(order.ticket, message=sentence(error, order.ticket))
    try:
        manager.spare()
        return _made(order, known, manager, blobs)
    except Exception as error:
        return Drawn(order.ticket, message=sentence(error, order.ticket))


def _made(order: Draw, known: Mapping[str, Modifier], manager: "PipelineManager", blobs: Callable[[str], bytes]) -> Drawn:
    params = modifiers.check({order.modifier: dict(order.params)}, known)[order.modifier]
    file = io.BytesIO()
    with torch.inference_mode(False), torch.no_grad():  # weights outlive this use of them
        known[order.modifier].draw(params, order.size, manager.device, manager.catalog, blobs).save(file, "PNG")
    return Drawn(order.ticket, file.getvalue())
