"""What becomes of checkpoints that were asked for before a job needed them: which is being read, which was, and why one could not be."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .errors import StudioError

log = logging.getLogger(__name__)


class Loads:
    """Reading is told from one thread; `told` may be asked from any."""

    def __init__(self) -> None:
        self._now: str | None = None
        self._read: dict[str, float] = {}
        self._failures: dict[str, dict[str, Any]] = {}

    @contextmanager
    def reading(self, checkpoint: str) -> Iterator[None]:
        """Around the reading of it; what it raises for the user is kept until it is asked for again."""
        self._now = checkpoint
        self._failures.pop(checkpoint, None)
        try:
            yield
            self._read[checkpoint] = time.time()
        except StudioError as error:
            log.warning("%s could not be loaded: %s", checkpoint, error)
            self._failures[checkpoint] = {"message": str(error), "time": time.time()}
        finally:
            self._now = None

    def told(self) -> dict[str, Any]:
        """`reading` is a name or None, `read` has when each was there, `failures` why and when ("message", "time"); times in seconds."""
        return {"reading": self._now, "read": {**self._read}, "failures": {**self._failures}}
