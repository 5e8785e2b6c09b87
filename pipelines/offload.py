"""Weights that rest in main memory and visit the device while they are used, or are kept in 8 bits there."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from accelerate.utils import send_to_device
from diffusers.hooks import apply_layerwise_casting

from . import loading, loading_memory
from .families.parts import Part
from .holdings import Held
from .residence import Way

_MAIN = torch.device("cpu")
# What carries all of the signal through a few numbers, besides what diffusers leaves alone: small, and worst hit by 8 bits.
_KEPT_WHOLE = (
    "patch_embed", "pos_embed", "norm", "^proj_in$", "^proj_out$", "^conv_in$", "^conv_out$", "time_embed", "add_embed",
    "^embedding", "^clf",
)  # fmt: skip


def home(way: Way, device: torch.device) -> torch.device:
    """Where a module's weights rest."""
    return _MAIN if way in ("blocks", "layers") else device


class Living:
    """A module's way of living, from here until `end`.

    The module rests at `home(way, device)`, takes inputs from any device, and answers on `device`, in `dtype`. "blocks" and
    "layers" are exact, and use whatever weights are there when they are called: diffusers' own group offloading, with the
    streams that make it fast, keeps copies that a LoRA does not reach, and without them writes every weight back.
    """

    def __init__(self, module: torch.nn.Module, way: Way, device: torch.device, dtype: torch.dtype) -> None:
        self._module = module
        self._hooks: list[Any] = []
        if way == "fp8":
            apply_layerwise_casting(module, torch.float8_e4m3fn, dtype, skip_modules_pattern=_KEPT_WHOLE)
        elif way == "blocks":
            blocks = list(_blocks(module))
            inside = {id(part) for block in blocks for part in block.modules()}
            for part in module.modules():
                if id(part) not in inside:
                    _Visit(part, device, recurse=False).stay()
            self._hook(blocks, device, recurse=True)
        elif way == "layers":
            self._hook([part for part in module.modules() if next(_tensors(part, False), None) is not None], device, recurse=False)

    def _hook(self, parts: list[torch.nn.Module], device: torch.device, recurse: bool) -> None:
        for part in parts:
            visit = _Visit(part, device, recurse)
            self._hooks += [
                part.register_forward_pre_hook(visit.begin, with_kwargs=True),
                part.register_forward_hook(visit.end, always_call=True),
            ]

    def end(self) -> None:
        """Leaves no hook behind. A module in 8 bits can then be used no more: diffusers cannot undo that."""
        for hook in self._hooks:
            hook.remove()
        for part in self._module.modules():
            if part.__dict__.pop("_diffusers_hook", None) is not None:
                part.__dict__.pop("forward", None)  # by which diffusers hooks a module


Finish = Callable[[torch.nn.Module], None]


def housed(
    part: Part, source: str, way: Way, device: torch.device, dtype: torch.dtype, finish: Finish, stopped: Callable[[], bool]
) -> Held:
    """The component of `part` loaded in `dtype` for its way of living, and where it stays on the device told to `finish`. Raises as
    `loading.load`, to which `source` and `stopped` go."""
    place = home(way, device)
    module = loading.load(part, source, place, dtype, stopped)
    size = loading_memory.module_bytes(module)
    living = None if way == "device" else Living(module, way, device, next(module.parameters()).dtype)
    if living is None:
        finish(module)
    return Held(module, place != device, size, living)


class _Visit:
    """The weights of one part on the device while it is called; what rests in main memory is not written back."""

    def __init__(self, part: torch.nn.Module, device: torch.device, recurse: bool) -> None:
        self._part, self._device, self._recurse = part, device, recurse
        self._resting: list[tuple[torch.Tensor, torch.Tensor]] = []

    def begin(self, part: torch.nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        self._resting = [(tensor, tensor.data) for tensor in _tensors(self._part, self._recurse)]
        self.stay()
        return send_to_device(args, self._device), send_to_device(kwargs, self._device)

    def end(self, part: torch.nn.Module, args: Any, output: Any) -> None:
        for tensor, resting in self._resting:
            tensor.data = resting
        self._resting = []

    def stay(self) -> None:
        with torch.inference_mode(False):
            for tensor in _tensors(self._part, self._recurse):
                tensor.data = _brought(tensor.data, self._device)


def _brought(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    return tensor.to(device, non_blocking=True)


def _tensors(part: torch.nn.Module, recurse: bool) -> Iterator[torch.Tensor]:
    yield from part.parameters(recurse)
    yield from part.buffers(recurse)


def _blocks(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """The members of its lists of modules, and of lists in those, which are never called as a whole."""
    for child in module.children():
        if isinstance(child, (torch.nn.ModuleList, torch.nn.Sequential)):
            for member in child:
                yield from member if isinstance(member, torch.nn.ModuleList) else (member,)
