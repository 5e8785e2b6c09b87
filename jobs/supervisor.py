"""Keeps one worker alive: starts it, feeds it, listens for its heart, and starts it again when it stops."""

import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipelines.events import Drawn, Finished, Step

from .bell import Bell
from .board import Board
from .drawings import Drawings
from .link import Item, Link
from .messages import Beat, Broken, FromWorker, Ready, ToWorker, WorkerConfig

RESTARTING = "The engine stopped and is being restarted."
UNKNOWN_PACE = 900.0  # seconds without an event while a model loads, a picture is decoded, or no step was measured yet


@dataclass(frozen=True)
class Limits:
    """Seconds. `step` is how long the engine may say nothing between two steps (or 20 median steps, if that is more)."""

    heartbeat: float = 60.0
    step: float = 60.0
    closing: float = 5.0
    backoff: float = 0.5
    most_backoff: float = 30.0


@dataclass(frozen=True)
class EngineState:
    """`engine`: starting, ready, restarting, failed or stopped; `message` is one sentence for the user."""

    engine: str = "starting"
    message: str | None = None
    restarts: int = 0
    status: Mapping[str, Any] = field(default_factory=dict)
    pid: int | None = None


class Supervisor:
    """One thread that owns the worker. `state` is what health shows."""

    def __init__(
        self,
        board: Board,
        bell: Bell,
        config: WorkerConfig,
        folder: Path,
        in_process: bool = False,
        limits: Limits | None = None,
        drawings: Drawings | None = None,
    ) -> None:
        self._board = board
        self._bell = bell
        self._config = config
        self._folder = folder
        self._in_process = in_process
        self._limits = limits or Limits()
        self._drawings = drawings or Drawings(self.wake)
        self._inbox: queue.SimpleQueue[Item | ToWorker | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._broken: str | None = None
        self._fed = 0.0  # when the worker was last given an order
        self._deaths = 0  # in a row, since a worker last made a step
        self.state = EngineState()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Closes the worker within a few seconds; whatever it was doing goes back to the queue."""
        self._closing.set()
        self._inbox.put(None)
        self._thread.join()

    def wake(self, order: ToWorker | None = None) -> None:
        """Something may have become to do; an order goes to the engine if it is there."""
        self._inbox.put(order)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                link = Link(self._in_process, self._config, self._folder, self._inbox.put)
            except OSError as error:  # no memory or no process left
                self._broken = f"The engine process could not be started ({error})."
                self._mourn()
                continue
            self._show(pid=link.host.pid)
            gone = self._serve(link)
            if not self._closing.is_set():
                link.host.kill()
            link.end(self._limits.closing)
            if not gone:
                self._drain(link)
            if not self._closing.is_set():
                self._mourn()
        self._board.put_all_back()
        self._drawings.lost("The studio is closing.")
        self._show(engine="stopped", message=None, status={}, pid=None)

    def _serve(self, link: Link) -> bool:
        """Feeds and hears one worker until it is gone (True), hangs, or the program stops."""
        heard = tick = self._fed = time.monotonic()
        ready, self._broken = False, None
        while not self._closing.is_set():
            try:
                item = self._inbox.get(timeout=1.0)
            except queue.Empty:
                item = None
            now = time.monotonic()
            if now - tick > 15:
                heard = now  # the machine slept: silence during that time says nothing
            tick = now
            if isinstance(item, tuple):
                source, message = item
                if source is link:
                    if message is None:
                        return True
                    heard, ready = now, ready or isinstance(message, Ready)
                    if self._hear(message):
                        return False
            elif item is not None:
                self._send(link, item)
            if now - heard > (self._limits.heartbeat if ready else UNKNOWN_PACE):  # importing torch can hold the heart up
                return False
            while ready and (order := self._board.next_order()):
                self._send(link, order)
        return False

    def _send(self, link: Link, order: ToWorker) -> None:
        self._fed = time.monotonic()
        link.send(order)

    def _drain(self, link: Link) -> None:
        """Hears what the worker managed to say before it ended."""
        deadline = time.monotonic() + 1
        while (left := deadline - time.monotonic()) > 0:
            try:
                item = self._inbox.get(timeout=left)
            except queue.Empty:
                return
            if isinstance(item, tuple) and item[0] is link:
                if item[1] is None:
                    return
                self._hear(item[1])

    def _mourn(self) -> None:
        """A worker has died: its jobs are put back, and after a moment (longer each time) the next one starts."""
        self._board.engine_lost()
        self._drawings.lost(RESTARTING)
        self._deaths += 1
        failed = self._broken is not None or self._deaths >= 5
        self._show(
            engine="failed" if failed else "restarting", message=self._broken or RESTARTING, status={}, restarts=self.state.restarts + 1
        )
        self._closing.wait(min(self._limits.backoff * 2 ** (self._deaths - 1), self._limits.most_backoff))

    def _hear(self, message: FromWorker) -> bool:
        """Takes in one message; True when the worker hangs and must go."""
        match message:
            case Ready():
                self._show(engine="ready", message=None)
            case Beat(status, last, quiet):
                self._board.flush()
                self._show(status=status)
                return self._hangs(last, min(quiet, time.monotonic() - self._fed))
            case Broken(sentence):
                self._broken = sentence
            case Drawn():
                self._drawings.apply(message)
            case event:
                self._deaths = 0 if isinstance(event, Step | Finished) else self._deaths
                self._board.apply(event)
        return False

    def _hangs(self, last: str, quiet: float) -> bool:
        if not self._board.working() or last == "Saving":
            return False
        pace = self._board.pace() if last == "Step" else None
        return quiet > (UNKNOWN_PACE if pace is None else max(self._limits.step, 20 * pace))

    def _show(self, **changes: Any) -> None:
        old, self.state = self.state, replace(self.state, **changes)
        if self.state != old:
            self._bell.ring()
