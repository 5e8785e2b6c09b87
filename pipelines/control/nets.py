"""ControlNets in memory: loaded when a job asks for one, and kept for the next."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from diffusers import ControlNetModel

from .. import loading, loading_memory
from ..errors import CheckpointError
from .kept import Kept
from .reading import ControlInfo


class ControlNets(Kept[ControlNetModel]):
    def __init__(self) -> None:
        super().__init__(loading_memory.module_bytes)

    @contextmanager
    def on(self, info: ControlInfo, device: torch.device, dtype: torch.dtype) -> Iterator[ControlNetModel]:
        """In evaluation mode on `device`, for as long as the context lasts. Raises `CheckpointError`, `OutOfMemory`."""
        part = info.part
        if part is None:
            raise CheckpointError(info.broken or f"{info.name} is no ControlNet.")
        with self.acquire((part.stamps, dtype), device, lambda: loading.load(part, info.name, device, dtype)) as module:
            yield module
