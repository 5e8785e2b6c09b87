"""Which device the engine runs on."""

import torch

from .errors import InvalidRequest


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
