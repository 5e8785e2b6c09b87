"""Wakes any number of asyncio waiters from any thread, without a thread per waiter."""

import asyncio
import threading
from contextlib import suppress


class Bell:
    """`version` grows with every ring; a waiter names the last version it has seen and, if it likes, one topic."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 1
        self._waiting: dict[asyncio.Future[None], tuple[asyncio.AbstractEventLoop, str | None]] = {}

    @property
    def version(self) -> int:
        return self._version

    def ring(self, topic: str | None = None) -> None:
        """Wakes everyone who waits for everything and those who wait for `topic`; thread-safe."""
        with self._lock:
            self._version += 1
            woken: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
            for future, (loop, wanted) in list(self._waiting.items()):
                if wanted is None or wanted == topic:
                    woken.setdefault(loop, []).append(future)
                    del self._waiting[future]
        for loop, futures in woken.items():
            with suppress(RuntimeError):  # the loop has closed meanwhile: nobody waits there any more
                loop.call_soon_threadsafe(_wake, futures)

    async def wait(self, version: int, timeout: float, topic: str | None = None) -> int:
        """Returns the version at once when it is another than `version`, else after the next ring or `timeout` seconds."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._version != version:
                return self._version
            future: asyncio.Future[None] = loop.create_future()
            self._waiting[future] = (loop, topic)
        try:
            await asyncio.wait([future], timeout=max(timeout, 0))
        finally:
            with self._lock:
                self._waiting.pop(future, None)
        return self._version


def _wake(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
