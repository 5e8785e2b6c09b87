"""Models in memory beside a checkpoint: loaded when a job asks for one, and kept for the next while there is room to spare."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import torch

from .. import loading_memory
from ..errors import OutOfMemory

_MOST_UNUSED = 3
_MARGIN = 3  # so many times its own size must be free on the device for one to be kept unused

Model = TypeVar("Model")


class Kept(Generic[Model]):
    """Thread-safe, but for two who use one model at once. `size` tells the bytes of a model."""

    def __init__(self, size: Callable[[Model], int]) -> None:
        self._size = size
        self._unused: OrderedDict[Any, Model] = OrderedDict()  # the least recently used first
        self._lock = threading.Lock()  # for it: the manager counts and lets go from threads of its own

    @contextmanager
    def acquire(self, key: Any, device: torch.device, load: Callable[[], Model]) -> Iterator[Model]:
        """The model of this key on `device`, for as long as the context lasts. Raises what `load` raises; one that finds no memory
        is tried again once the unused are gone."""
        with self._lock:
            model = self._unused.pop((key, device), None)
        model = model or self._loaded(device, load)
        try:
            yield model
        finally:
            self._keep((key, device), model, device)

    def _loaded(self, device: torch.device, load: Callable[[], Model]) -> Model:
        try:
            return load()
        except OutOfMemory:
            if not self.spare():
                raise
            loading_memory.release(device)
            return load()

    def _keep(self, key: Any, model: Model, device: torch.device) -> None:
        with self._lock:
            self._unused[key] = model
            while self._unused and (len(self._unused) > _MOST_UNUSED or loading_memory.free_on(device) < _MARGIN * self._size(model)):
                self._unused.popitem(last=False)

    def kept_bytes(self) -> int:
        """What those take that are kept for the next job."""
        with self._lock:
            return sum(self._size(model) for model in self._unused.values())

    def spare(self) -> bool:
        """Lets go of those; False if there were none."""
        with self._lock:
            had = bool(self._unused)
            self._unused.clear()
        return had
