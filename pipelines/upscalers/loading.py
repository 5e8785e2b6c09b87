"""An upscaler's network from its file: built without weights, then given the file's own, mapped and not copied where the dtype allows."""

import copy
from dataclasses import dataclass, replace
from pkgutil import resolve_name

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ..decode import is_out_of_memory
from ..errors import CheckpointError, OutOfMemory
from ..headers import Stamp
from .reading import Blueprint, UpscalerInfo


@dataclass(frozen=True, eq=False)
class Network:
    """A network in evaluation mode: (b, channels, h, w) in 0..1 becomes `scale` times as large. `name` is for errors.

    `channels` is 1 (grey) or 3 (RGB); windows of a picture begin at multiples of `align`; `alive` numbers are held for a pixel.
    """

    name: str
    module: nn.Module
    scale: int
    channels: int
    align: int
    alive: int

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.module.parameters()).dtype

    def on(self, device: torch.device, dtype: torch.dtype) -> "Network":
        """This one, or a copy of it elsewhere; the shared module stays as it is and where it is."""
        if (device, dtype) == (self.device, self.dtype):
            return self
        return replace(self, module=copy.deepcopy(self.module).to(device, dtype))


def load(info: UpscalerInfo, device: torch.device, dtype: torch.dtype) -> Network:
    """The network of a listed file on `device` in `dtype`, without gradients.

    Raises `CheckpointError` for a broken file, one that changed since it was listed or has weights that are not finite in
    `dtype`; `OutOfMemory` when the device has no room.
    """
    plan = info.blueprint
    if plan is None:
        raise CheckpointError(info.broken or f"{info.name} is no upscaler.")
    with torch.device("meta"):
        module = resolve_name(plan.make)(**plan.config)
    try:
        state = _weights(plan, info.name, device, dtype)
    except (SafetensorError, OSError, RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise OutOfMemory(f"There is not enough memory to load the upscaler {info.name}.") from None
        raise CheckpointError(f"The upscaler {info.name} cannot be read: {str(error).strip()[:200].rstrip('.')}.") from None
    module.load_state_dict(state, strict=True, assign=True)
    return Network(info.name, module.eval().requires_grad_(False), plan.scale, plan.channels, plan.align, plan.alive)


def _weights(plan: Blueprint, label: str, device: torch.device, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    if Stamp.of(plan.stamp.path) != plan.stamp:  # a file cut short after mapping would end the process
        raise CheckpointError(f"{label} has changed while it was being read; try again.")
    with safe_open(plan.stamp.path, framework="pt", device="cpu") as file:
        state = {name: file.get_tensor(original).to(device, dtype) for name, original in plan.names.items()}
    for name, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{label} is damaged: its weight {name!r} is not finite in {str(dtype).removeprefix('torch.')}.")
    return state
