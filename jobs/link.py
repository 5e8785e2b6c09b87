"""A worker and the pipe to it: as a child process, or as a thread of this one."""

import multiprocessing
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from . import worker
from .messages import Close, Ended, FromWorker, ToWorker, WorkerConfig


class Host(Protocol):
    """Where a worker runs."""

    pid: int | None

    def kill(self) -> None: ...
    def join(self, timeout: float) -> bool: ...


class ChildProcess:
    def __init__(self, connection: Connection, config: WorkerConfig, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=worker.main, args=(connection, config, str(folder)), name="safelight-engine", daemon=True)
        self._process.start()
        connection.close()  # the child has its own; ours would keep the pipe open after its death
        self.pid = self._process.pid

    def kill(self) -> None:
        self._process.kill()

    def join(self, timeout: float) -> bool:
        self._process.join(timeout)
        return self._process.exitcode is not None


class InThread:
    """The same worker in a thread of this process: for tests, and for hosts that want the device in the main process."""

    def __init__(self, connection: Connection, config: WorkerConfig, folder: Path) -> None:
        self.pid = None
        self._thread = threading.Thread(target=worker.Worker(connection, config, folder).run, name="safelight-engine", daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """A thread cannot be killed; it is told to close and left behind."""

    def join(self, timeout: float) -> bool:
        self._thread.join(timeout)
        return not self._thread.is_alive()


Item = tuple["Link", FromWorker | None]


class Link:
    """One worker. A thread reads into `inbox` (None is the end) and another writes, so that a stuck worker blocks nobody."""

    def __init__(self, in_process: bool, config: WorkerConfig, folder: Path, hear: Callable[[Item], None]) -> None:
        self._connection, theirs = multiprocessing.Pipe()
        self._hear = hear
        self._sending = threading.Lock()
        self._outbox: queue.SimpleQueue[ToWorker | None] = queue.SimpleQueue()
        self.host: Host = (InThread if in_process else ChildProcess)(theirs, config, folder)
        threading.Thread(target=self._read, name="from-engine", daemon=True).start()
        threading.Thread(target=self._write, name="to-engine", daemon=True).start()

    def send(self, message: ToWorker) -> None:
        self._outbox.put(message)

    def end(self, timeout: float) -> None:
        """Asks the worker to close, kills it when it has not within `timeout` seconds, and waits until it is gone."""
        self.send(Close())
        if not self.host.join(timeout):
            self.host.kill()
            self.host.join(5)
        self._outbox.put(None)

    def _read(self) -> None:
        with suppress(EOFError, OSError):
            while not isinstance(message := self._connection.recv(), Ended):
                self._hear((self, message))
        self._hear((self, None))
        with self._sending:  # nobody may write to a number that the next file is given
            self._connection.close()

    def _write(self) -> None:
        with suppress(OSError, ValueError):  # it died: the reader tells
            while (message := self._outbox.get()) is not None:
                with self._sending:
                    self._connection.send(message)
