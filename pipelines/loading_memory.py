"""How much memory there is for models, read from the machine."""

from pathlib import Path

import psutil
import torch

from .errors import OutOfMemory

_KEPT_SHARE = 0.5  # of main memory: pictures, the page and everything else the user runs need the rest
_KEPT_SHARE_OF_DEVICE = 0.7  # activations need the rest
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def budget(device: torch.device) -> int:
    """Bytes that models may take on `device` before the least recently used are let go."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1] * _KEPT_SHARE_OF_DEVICE)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() * _KEPT_SHARE_OF_DEVICE)
    return int(_main_memory() * _KEPT_SHARE)


def _main_memory() -> int:
    """Of the machine, or less in a container that is given less."""
    total = psutil.virtual_memory().total
    try:
        return min(total, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no such limit here
        return total


def require(size: int, name: str, device: torch.device) -> None:
    """Raises `OutOfMemory` when `size` bytes are more than the machine can give: better said than killed for."""
    if device.type != "cpu":
        return  # the device's own allocator raises
    free = psutil.virtual_memory().available + psutil.swap_memory().free
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
