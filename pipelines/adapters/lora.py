"""LoRA-like files in force: what they add is summed into the weights on entering, and the very same tensors are put back on leaving."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from .. import loading_memory
from ..components import Components
from ..errors import CheckpointError, OutOfMemory, printable
from ..headers import Stamp
from . import guess, lora_info
from .changes import Change
from .deltas import delta
from .lora_info import LoraFile
from .naming import DENOISER
from .targets import Target, Targets

log = logging.getLogger(__name__)

_FIRST = ("conv_in", "input_blocks_0_0")


@dataclass(frozen=True)
class LoraUse:
    """A file at `weight` for the denoiser and `text_weight`, by default the same, for the text encoders."""

    path: Path
    weight: float = 1.0
    text_weight: float | None = None

    def weight_for(self, component: str) -> float:
        return self.weight if component == DENOISER or self.text_weight is None else self.text_weight


@dataclass(frozen=True)
class AppliedReport:
    """How many parameters are changed, the bytes that their second copies take, and a sentence for each file of which
    something was left out."""

    parameters: int
    size_bytes: int
    notices: tuple[str, ...]


@dataclass(frozen=True)
class _Step:
    """One file's share in one parameter."""

    file: LoraFile
    change: Change
    weight: float
    target: Target


@dataclass
class _Patch:
    """Everything that is added to one parameter."""

    parameter: torch.nn.Parameter
    steps: list[_Step] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return self.parameter.numel() * self.parameter.element_size()


@contextmanager
def applied(components: Components, uses: Sequence[LoraUse]) -> Iterator[AppliedReport]:
    """Inside, the weights of the denoiser and the text encoders are base + Σ weight × difference, summed in float32 and
    rounded once to each parameter's own dtype. A DoRA's difference is the one it makes to the base alone.

    On leaving, also by an exception, every parameter holds its own tensor again, not one computed back; contexts nest.
    A device that a module was moved to meanwhile is kept. Raises, with nothing changed, `CheckpointError` for a file
    that is damaged or made for another kind of model, `OutOfMemory` where there is no room for the changed copies.
    """
    patches, notices = _plan(components, uses)
    size = sum(patch.size_bytes for patch in patches)
    held: list[tuple[torch.nn.Parameter, torch.Tensor]] = []
    try:
        with _sentences(uses):
            loading_memory.require(size, "What the LoRAs change", components.device)
            _merge(patches, held)
        yield AppliedReport(len(patches), size, notices)
    finally:
        for parameter, base in reversed(held):
            parameter.data = base.to(parameter.device)


def _plan(components: Components, uses: Sequence[LoraUse]) -> tuple[list[_Patch], tuple[str, ...]]:
    """What has to be added to which parameter, each parameter once; nothing is read but headers."""
    targets = Targets(components.modules, components.family.denoiser)
    patches: dict[int, _Patch] = {}
    notices = []
    for use in uses:
        file = lora_info.read(use.path)
        found = [(change, target) for change in file.changes for target in targets.find(change)]
        _check_fits(file, found, targets, components)
        left_out = len(file.unknown) + len(file.changes) - len({id(change) for change, _ in found})
        if left_out:
            notices.append(f"{file.name}: {left_out:,} of its parts are not known to {components.checkpoint} and were left out.")
            log.warning(notices[-1])
        for change, target in found:
            if weight := use.weight_for(change.component):
                patch = patches.setdefault(id(target.parameter), _Patch(target.parameter))
                patch.steps.append(_Step(file, change, weight, target))
    return list(patches.values()), tuple(notices)


def _check_fits(file: LoraFile, found: Sequence[tuple[Change, Target]], targets: Targets, components: Components) -> None:
    """All that is for a component of this model has to find its place there, or nothing of the file is used: text
    encoders are shared among families, and half a LoRA makes pictures that nobody can explain."""
    wrong = next(((change, target) for change, target in found if not _fits(change, target)), None)
    placed = {change.component for change, _ in found}
    astray = next((change.component for change in file.changes if targets.has(change.component) and change.component not in placed), None)
    if placed and wrong is None and astray is None:
        return
    guessed = guess.of(file.changes, file.header.metadata)
    if guessed.family and guessed.family != components.family.name:
        width = f" ({guessed.text_width} wide)" if guessed.text_width else ""
        made = f"{file.name} is made for {guess.TITLES[guessed.family]}{width}"
        raise CheckpointError(f"{made}; {components.checkpoint} is {components.family.title}{_text_width(components)}.")
    other = f"{file.name} is made for another kind of model than {components.checkpoint}"
    if wrong:
        change, target = wrong
        shapes = f"{tuple(change.shape)}, where {target.shape} is needed"
        raise CheckpointError(f"{other}: it changes {target.name} by {shapes}.")
    raise CheckpointError(f"{other}: its parts have no place there.")


def _text_width(components: Components) -> str:
    width = getattr(components.denoiser.config, "cross_attention_dim", None)
    return f" ({width} wide)" if isinstance(width, int) else ""


def _fits(change: Change, target: Target) -> bool:
    shape = target.shape
    if target.form:  # lengths and factors are of the file's module as a whole, which is not here
        return not change.decomposed and change.form != "ia3" and change.fits(shape)
    return change.fits((shape[0], _channels(change, shape), *shape[2:])) if len(shape) == 4 else change.fits(shape)


def _channels(change: Change, shape: tuple[int, ...]) -> int:
    """How many of a convolution's input channels are changed: all, but for the first convolution of an inpainting model,
    where the latents come before the mask and only they are known to a LoRA made for the plain model."""
    channels = prod(change.shape) // (shape[0] * prod(shape[2:]))
    return channels if change.module in _FIRST and 0 < channels < shape[1] else shape[1]


def _merge(patches: Sequence[_Patch], held: list[tuple[torch.nn.Parameter, torch.Tensor]]) -> None:
    """Gives each parameter its changed copy; `held` receives what it was, as soon as it is no longer there."""
    files = {step.file.header.stamp: step.file for patch in patches for step in patch.steps}
    with ExitStack() as stack, torch.inference_mode(False), torch.no_grad():
        readers = {stamp: stack.enter_context(_opened(stamp)) for stamp in files}
        for patch in patches:
            base = patch.parameter.data
            total = base.float() if base.dtype != torch.float32 else base.clone()
            for step in patch.steps:
                total.add_(_difference(step, readers[step.file.header.stamp], base), alpha=step.weight)
            held.append((patch.parameter, base))
            patch.parameter.data = total.to(base.dtype)


@contextmanager
def _opened(stamp: Stamp) -> Iterator[safe_open]:
    if Stamp.of(stamp.path) != stamp:  # a file cut short after mapping would end the process
        raise CheckpointError(f"{stamp.path.name} has changed while it was being read; try again.")
    with safe_open(stamp.path, framework="pt", device="cpu") as file:
        yield file


def _difference(step: _Step, reader: safe_open, base: torch.Tensor) -> torch.Tensor:
    tensors: Mapping[str, torch.Tensor] = {
        slot: reader.get_tensor(name).to(device=base.device, dtype=torch.float32) for slot, name in step.change.tensors.items()
    }
    for slot, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{step.file.name} is damaged: {step.change.tensors[slot]!r} is not finite.")
    shape = step.target.shape
    if step.target.form:
        return step.target.own(delta(step.change, tensors, base.new_empty(shape)))
    if len(shape) != 4 or (channels := _channels(step.change, shape)) == shape[1]:
        return delta(step.change, tensors, base)
    return torch.nn.functional.pad(delta(step.change, tensors, base[:, :channels]), (0, 0, 0, 0, 0, shape[1] - channels))


@contextmanager
def _sentences(uses: Sequence[LoraUse]) -> Iterator[None]:
    names = ", ".join(printable(use.path.name) for use in uses)
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{names} cannot be read: {str(error).splitlines()[0][:200].rstrip('.')}.") from None
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "not enough memory" in str(error):
            raise OutOfMemory(f"There is not enough memory to apply {names}.") from None
        raise
