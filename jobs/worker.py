"""Runs an engine, writes what it makes and reports over a pipe: in a child process, or in a thread by the same code."""

import faulthandler
import os
import pkgutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pipelines import events as ev
from pipelines.errors import StudioError

from .files import is_full, sentence
from .lock import FileLock
from .messages import (
    Beat,
    Broken,
    Cancel,
    Close,
    Draw,
    Ended,
    FromWorker,
    Load,
    Order,
    Pause,
    Ready,
    Resume,
    ToWorker,
    Unload,
    WorkerConfig,
)
from .store import Store, picture_id

BEAT = 1.0  # seconds
RETRY = 2.0  # seconds between tries to save a picture
LAST_WORDS = 5.0  # seconds an orphaned worker has to end by itself
T = TypeVar("T")


class Engine(Protocol):
    """What a factory makes; see `pipelines.engine.Engine`."""

    def submit(self, work: ev.Work) -> None: ...
    def cancel(self, job: str) -> None: ...
    def pause(self, job: str) -> None: ...
    def resume(self, job: str) -> None: ...
    def load(self, checkpoint: str, vae: str) -> None: ...
    def unload(self, checkpoint: str) -> None: ...
    def draw(self, ticket: str, modifier: str, params: Mapping[str, Any], size: tuple[int, int]) -> None: ...
    def events(self) -> Iterator[ev.EngineEvent]: ...
    def close(self) -> None: ...
    def status(self) -> Mapping[str, Any]: ...


def main(connection: Connection, config: WorkerConfig, folder: str) -> None:
    """The child process. It ends when its engine is closed or its parent is gone, also when it is blocked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group: the parent closes us in good order
    if sys.stderr is not None:
        faulthandler.enable()
    Worker(connection, config, Path(folder), abandoned=_end_soon).run()


def _end_soon() -> None:
    timer = threading.Timer(LAST_WORDS, os._exit, (1,))
    timer.daemon = True
    timer.start()


class Worker:
    """`run` blocks until the engine is closed. `abandoned` is called when the other end of the pipe is gone."""

    def __init__(
        self, connection: Connection, config: WorkerConfig, folder: Path, abandoned: Callable[[], None] = lambda: None, retry: float = RETRY
    ) -> None:
        self._connection = connection
        self._config = config
        self._store = Store(folder)
        self._abandoned = abandoned
        self._retry = retry
        self._sending = threading.Lock()
        self._engine: Engine | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._cancelled: set[str] = set()
        self._dropped: set[str] = set()  # jobs with a picture that was given up because they were cancelled
        self._live: set[str] = set()  # jobs of which nothing is written
        self._last = ("", time.monotonic())

    def run(self) -> None:
        lock = FileLock(self._store.inner / "worker.lock")
        ended = threading.Event()
        listener = threading.Thread(target=self._listen, name="orders", daemon=True)
        listener.start()
        threading.Thread(target=self._beats, args=(ended,), name="heartbeat", daemon=True).start()
        try:
            if self._alone(lock) and (engine := self._build()):
                self._send(Ready())
                self._send(self._beat())
                for event in engine.events():
                    self._last = (type(event).__name__, time.monotonic())
                    self._pass_on(event)
        except Exception:
            traceback.print_exc()  # the supervisor sees the pipe close, which is all it needs
        finally:
            ended.set()
            lock.release()
            self._send(Ended())
            listener.join(LAST_WORDS)  # a pipe that somebody still reads must not be closed: its number may be given to a file
            with self._sending:
                self._connection.close()

    def _alone(self, lock: FileLock) -> bool:
        """Waits for an earlier worker of this folder to end, so that no picture is made by both; False when told to close."""
        while not lock.acquire():
            with self._changed:
                if self._changed.wait_for(lambda: self._closing, 0.1):
                    return False
        return not self._closing

    def _build(self) -> Engine | None:
        try:
            engine = pkgutil.resolve_name(self._config.factory)(self._config.config)
        except StudioError as error:
            self._send(Broken(str(error)))
            return None
        except Exception as error:
            traceback.print_exc()
            self._send(Broken(f"The engine could not be started: {type(error).__name__}: {error}."))
            return None
        with self._changed:
            self._engine = engine
            if self._closing:
                engine.close()
        return engine

    # -- orders -----------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            while not isinstance(order := self._connection.recv(), Close):
                self._obey(order)
        except (EOFError, OSError):
            self._abandoned()
        self._close()

    def _obey(self, order: ToWorker) -> None:
        engine = self._engine
        if engine is None:
            return  # nothing is ordered before Ready
        self._last = ("Order", time.monotonic())
        match order:
            case Order(job, request, done, live):
                if live:
                    self._live.add(job)
                with self._changed:
                    self._cancelled.discard(job)
                    self._dropped.discard(job)
                engine.submit(ev.Work(job, request, done, {} if live else self._store.kept_latents(job)))
            case Cancel(job):
                with self._changed:
                    self._cancelled.add(job)
                    self._changed.notify_all()
                engine.cancel(job)
            case Pause(job):
                engine.pause(job)
            case Resume(job):
                engine.resume(job)
            case Load(checkpoint, vae):
                engine.load(checkpoint, vae)
            case Unload(checkpoint):
                engine.unload(checkpoint)
            case Draw(ticket, modifier, params, size):
                engine.draw(ticket, modifier, params, size)

    def _close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            if self._engine is not None:
                self._engine.close()

    # -- reports ----------------------------------------------------------------------------------------------------

    def _send(self, message: FromWorker) -> None:
        try:
            with self._sending:
                self._connection.send(message)
        except (OSError, ValueError):  # the parent is gone, or this end is closed
            self._close()

    def _beats(self, ended: threading.Event) -> None:
        while not ended.wait(BEAT):
            self._send(self._beat())

    def _beat(self) -> Beat:
        engine, (last, since) = self._engine, self._last
        return Beat({} if engine is None else dict(engine.status()), last, time.monotonic() - since)

    def _pass_on(self, event: ev.EngineEvent) -> None:
        match event:
            case ev.Developed(job) | ev.Decoded(job) if job in self._live:
                if isinstance(event, ev.Decoded):
                    self._send(event)
            case ev.Developed():
                self._keep(event)
            case ev.Decoded():
                self._save(event)
            case ev.Finished(job) if job in self._dropped:
                if not self._closing:  # when closing, the job goes back to the queue with its latents kept
                    self._send(ev.Cancelled(job))
            case _:
                if isinstance(event, ev.Finished | ev.Failed | ev.Cancelled):
                    self._live.discard(event.job)
                self._send(event)

    def _keep(self, event: ev.Developed) -> None:
        """On disk before it is decoded; when there is no room, the picture itself is the next chance."""
        try:
            self._store.keep_latents(event.job, event.picture, event.latents)
        except OSError as error:
            self._send(ev.Notice(event.job, f"{sentence(error, self._store.folder)}; the picture is made all the same."))

    def _save(self, event: ev.Decoded) -> None:
        told = (event.job, event.picture, event.seed, event.data, event.media_type)
        name = self._until_it_works(event.job, lambda: self._store.save_picture(*told))
        if name is None:
            self._dropped.add(event.job)
            return
        path = str(self._store.folder / name)
        self._send(ev.Saved(event.job, event.picture, event.seed, picture_id(name), path, event.width, event.height))
        self._store.drop_latents(event.job, event.picture)

    def _until_it_works(self, job: str, save: Callable[[], T]) -> T | None:
        """Tries every two seconds while the picture stays in memory; None when the job is cancelled or the worker closes."""
        told = False
        while True:
            try:
                result = save()
            except OSError as error:
                if not told:
                    remedy = "there is room" if is_full(error) else "that works"
                    kept = f"the finished picture is kept in memory and will be saved as soon as {remedy}"
                    self._send(ev.Notice(job, f"{sentence(error, self._store.folder)}; {kept}."))
                    told = True
                self._last = ("Saving", time.monotonic())
                with self._changed:
                    if self._changed.wait_for(lambda: self._closing or job in self._cancelled, self._retry):
                        return None
            else:
                if told:
                    self._send(ev.Notice(job, "The picture that was kept in memory is saved now."))
                return result
