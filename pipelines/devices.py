"""Which device the engine runs on, and in which numbers."""

import torch

from .errors import InvalidRequest, UnknownName
from .names import DTYPES


def resolve(device: str) -> str:
    """The torch device for a command-line choice; "auto" prefers CUDA, then Apple's MPS, then the CPU."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if found[name])
    kind, _, index = device.partition(":")
    there = ", ".join(name for name, usable in found.items() if usable)
    if not found.get(kind, False) or (index and (kind != "cuda" or not index.isdigit() or int(index) >= torch.cuda.device_count())):
        raise InvalidRequest(f"device {device!r} is not available here; there is: auto, {there}.", "device")
    return device


def dtype_named(name: str) -> torch.dtype | None:
    """The dtype for a command-line choice; None for "auto", which leaves it to `dtype_of`."""
    if name not in ("auto", *DTYPES):
        raise UnknownName("dtype", name, ("auto", *DTYPES))
    return None if name == "auto" else getattr(torch, name)


def word(dtype: torch.dtype) -> str:
    """Its name, as `dtype_named` takes it."""
    return str(dtype).removeprefix("torch.")


def dtype_of(device: torch.device) -> torch.dtype:
    """What suits the device; see `suiting`."""
    cuda = device.type == "cuda"
    name, capability = (torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device)) if cuda else ("", (0, 0))
    return suiting(device.type, name, capability)


def suiting(kind: str, name: str = "", capability: tuple[int, int] = (0, 0)) -> torch.dtype:
    """float16, in which checkpoints are published, where the device computes in it: not on a CPU, nor on cards before Pascal, nor on
    those of the GTX 16 series, whose half-precision convolutions give NaN."""
    half = kind == "mps" or (kind == "cuda" and capability >= (6, 0) and "GTX 16" not in name)
    return torch.float16 if half else torch.float32
