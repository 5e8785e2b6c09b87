"""Writes to the journal that must not be lost when the disk is full for a while: kept in order until they work."""

import sqlite3
from collections.abc import Callable


class Backlog:
    """Not thread-safe; its owner locks. `trouble` says why the journal cannot be written just now, or is None."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._actions: list[Callable[[], object]] = []
        self.trouble: str | None = None

    def write(self, action: Callable[[], object]) -> None:
        self._actions.append(action)
        self.flush()

    def flush(self) -> None:
        while self._actions:
            try:
                self._actions[0]()
            except sqlite3.Error as error:
                self.trouble = f"The journal in {self._where} cannot be written just now ({error}); it is tried again."
                return
            self._actions.pop(0)
        self.trouble = None
