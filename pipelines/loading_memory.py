"""How much memory there is for models, read from the machine: of the device and of main memory, each by itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from .errors import OutOfMemory
from .families.parts import Part
from .headers import BITS
from .loading import SAFETENSORS_DTYPES
from .loading_sources import Source
from .residence import Residence, Size, activations, residence, size_of

_KEPT_SHARE = 0.5  # of main memory: pictures, the page and everything else the user runs need the rest
_KEPT_SHARE_OF_DEVICE = 0.7  # activations need the rest
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Budget:
    """Bytes that models may take before the least recently used are let go: on the device, and in main memory beside it.

    On a CPU both are one, and `main` is not looked at.
    """

    device: int
    main: int

    @classmethod
    def of(cls, device: torch.device) -> "Budget":
        main = int(_main_memory() * _KEPT_SHARE)
        if device.type == "cuda":
            return cls(int(torch.cuda.mem_get_info(device)[1] * _KEPT_SHARE_OF_DEVICE), main)
        if device.type == "mps":
            return cls(int(torch.mps.recommended_max_memory() * _KEPT_SHARE_OF_DEVICE), main)
        return cls(main, main)


def _main_memory() -> int:
    """Of the machine, or less in a container that is given less."""
    total = psutil.virtual_memory().total
    try:
        return min(total, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no such limit here
        return total


def free_on(device: torch.device) -> int:
    """Bytes that can be had on the device now, what torch keeps for itself included."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    return free_in_main()


def free_in_main() -> int:
    return psutil.virtual_memory().available + psutil.swap_memory().free


def chosen(source: Source, there: frozenset[str], device: torch.device, dtype: torch.dtype) -> Residence:
    """Where the components go, from what is free now; those that are `there` already take nothing more."""
    if device.type == "cpu":
        return Residence(sentence="Everything is in main memory.")
    sizes = {name: Size(0, 0) if name in there else size_of(weights(part, dtype)) for name, part in source.parts.items()}
    factor = 2 ** (len(source.parts["vae"].config["block_out_channels"]) - 1) * source.parted.family.patch
    needed = activations(source.wanted.info.native_size, factor, source.parted.recommended.get("num_frames", 1))
    return residence(sizes, source.parted.family.denoisers, free_on(device), psutil.virtual_memory().available, needed)


def weights(part: Part, dtype: torch.dtype) -> dict[str, int]:
    """Bytes of each weight once loaded; one that has two names counts once."""
    named = {piece: name for name, piece in part.pieces.items()}
    spans = {name: piece.span for piece, name in named.items()}
    return {name: (end - start) * 8 // BITS[part.pieces[name].info.dtype] * dtype.itemsize for name, (start, end) in spans.items()}


def copied_bytes(parts: Iterable[Part], dtype: torch.dtype) -> int:
    """Of those that are stored in another dtype, and so cannot stay mapped from their files."""
    return sum(part.elements for part in parts if part.dtypes != {SAFETENSORS_DTYPES.get(dtype)}) * dtype.itemsize


def require(size: int, name: str, device: torch.device) -> None:
    """Raises `OutOfMemory` when `size` bytes are more than the machine can give: better said than killed for."""
    if device.type != "cpu":
        return  # the device's own allocator raises
    free = free_in_main()
    if size > free:
        raise OutOfMemory(f"{name} needs {size / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free.")


def module_bytes(module: torch.nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in (*module.parameters(), *module.buffers()))


def release(device: torch.device) -> None:
    """Gives back what the allocator keeps of modules that are gone."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
