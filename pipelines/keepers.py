"""Those who keep models in memory from one job to the next beside the manager, such as ControlNets: counted, and asked to let go."""

from collections.abc import Iterable
from typing import Protocol

import torch

from . import loading_memory


class Keeper(Protocol):
    """Both are asked from any thread."""

    def kept_bytes(self) -> int:
        """What those take that nobody uses now."""

    def spare(self) -> bool:
        """Lets go of those; False if there were none."""


class Keepers:
    """All of them as one, for models on `device`."""

    def __init__(self, keepers: Iterable[Keeper], device: torch.device) -> None:
        self._keepers = tuple(keepers)
        self._device = device

    def kept_bytes(self) -> int:
        return sum(keeper.kept_bytes() for keeper in self._keepers)

    def spare(self) -> bool:
        freed = [keeper.spare() for keeper in self._keepers]
        if any(freed):
            loading_memory.release(self._device)
        return any(freed)
