"""ControlNets in memory: loaded when a job asks for one, and kept for the next while there is room to spare."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import ControlNetModel

from .. import loading, loading_memory
from ..errors import CheckpointError, OutOfMemory
from .reading import ControlInfo

_MOST_UNUSED = 3
_MARGIN = 3  # so many times its own size must be free on the device for one to be kept unused


class ControlNets:
    """Thread-safe, but for two who use one ControlNet at once."""

    def __init__(self) -> None:
        self._unused: OrderedDict[Any, ControlNetModel] = OrderedDict()  # the least recently used first
        self._lock = threading.Lock()  # for it: the manager counts and lets go from threads of its own

    @contextmanager
    def acquire(self, info: ControlInfo, device: torch.device, dtype: torch.dtype) -> Iterator[ControlNetModel]:
        """In evaluation mode on `device`, for as long as the context lasts. Raises `CheckpointError`, `OutOfMemory`."""
        if info.part is None:
            raise CheckpointError(info.broken or f"{info.name} is no ControlNet.")
        key = (info.part.stamps, device, dtype)
        with self._lock:
            module = self._unused.pop(key, None)
        module = module or self._load(info, device, dtype)
        try:
            yield module
        finally:
            self._keep(key, module, device)

    def _load(self, info: ControlInfo, device: torch.device, dtype: torch.dtype) -> ControlNetModel:
        assert info.part is not None
        try:
            return loading.load(info.part, info.name, device, dtype)
        except OutOfMemory:
            if not self.spare():
                raise
            loading_memory.release(device)
            return loading.load(info.part, info.name, device, dtype)

    def _keep(self, key: Any, module: ControlNetModel, device: torch.device) -> None:
        with self._lock:
            self._unused[key] = module
            while self._unused and (
                len(self._unused) > _MOST_UNUSED or loading_memory.free_on(device) < _MARGIN * loading_memory.module_bytes(module)
            ):
                self._unused.popitem(last=False)

    def kept_bytes(self) -> int:
        """What those take that are kept for the next job."""
        with self._lock:
            return sum(loading_memory.module_bytes(module) for module in self._unused.values())

    def spare(self) -> bool:
        """Lets go of those; False if there were none."""
        with self._lock:
            had = bool(self._unused)
            self._unused.clear()
        return had
