"""Pictures that the engine makes without a job, such as the map for a ControlNet: asked for here, and waited for."""

import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLong
from typing import Any

from pipelines.errors import StudioError
from pipelines.events import Drawn

from .messages import Draw, ToWorker

PATIENCE = 300.0  # seconds for a model to be read and used, behind a step of a job


class Drawings:
    """Thread-safe. `order` gives the engine an order, and raises StudioError while there is none."""

    def __init__(self, order: Callable[[ToWorker], None], patience: float = PATIENCE) -> None:
        self._order = order
        self._patience = patience
        self._waiting: dict[str, Future[Drawn]] = {}
        self._lock = threading.Lock()

    def make(self, modifier: str, params: Mapping[str, Any], size: tuple[int, int]) -> bytes:
        """The picture of `size` (width, height) that a modifier shows of its parameters, as PNG. Blocks; raises StudioError."""
        ticket, answer = uuid.uuid4().hex, Future[Drawn]()
        with self._lock:
            self._waiting[ticket] = answer
        try:
            self._order(Draw(ticket, modifier, params, size))
            drawn = answer.result(self._patience)
        except TooLong:
            raise StudioError("The engine is busy; try again when the job that runs has ended.") from None
        finally:
            with self._lock:
                self._waiting.pop(ticket, None)
        if not drawn.data:
            raise StudioError(drawn.message)
        return drawn.data

    def apply(self, drawn: Drawn) -> None:
        """What the engine answered; nobody may be waiting for it any more."""
        with self._lock:
            answer = self._waiting.pop(drawn.ticket, None)
        if answer is not None:
            answer.set_result(drawn)

    def lost(self, message: str) -> None:
        """The engine is gone, with all that was asked of it."""
        with self._lock:
            waiting = list(self._waiting)
        for ticket in waiting:
            self.apply(Drawn(ticket, message=message))
