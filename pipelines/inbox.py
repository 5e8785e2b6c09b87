"""Orders to the engine from other threads, in the order in which they were given."""

import queue
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .events import Work


@dataclass(frozen=True)
class Submit:
    work: Work


@dataclass(frozen=True)
class Cancel:
    job: str


@dataclass(frozen=True)
class Pause:
    job: str


@dataclass(frozen=True)
class Resume:
    job: str


@dataclass(frozen=True)
class Load:
    """Read a checkpoint into memory when there is nothing else to do."""

    checkpoint: str
    vae: str


@dataclass(frozen=True)
class Unload:
    checkpoint: str


@dataclass(frozen=True)
class Draw:
    """Make the picture, `size` (width, height), that a modifier shows of its parameters."""

    ticket: str
    modifier: str
    params: Mapping[str, Any]
    size: tuple[int, int]


@dataclass(frozen=True)
class Close:
    pass


Order = Submit | Cancel | Pause | Resume | Load | Unload | Draw | Close


class Inbox:
    """Thread-safe; `give` returns at once."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()

    def give(self, order: Order) -> None:
        self._orders.put(order)

    def take(self, wait: bool) -> list[Order]:
        """All orders given so far; where `wait`, blocks until there is one."""
        taken: list[Order] = [self._orders.get()] if wait else []
        while True:
            try:
                taken.append(self._orders.get_nowait())
            except queue.Empty:
                return taken
