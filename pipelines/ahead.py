"""What will be wanted next is read while something else is worked on."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .errors import StudioError

if TYPE_CHECKING:
    from .running import JobRun

log = logging.getLogger(__name__)

Target = tuple[str, str]
"""A checkpoint and a VAE, by name."""


def next_up(queue: Sequence["JobRun"], active: Sequence["JobRun"]) -> Target | None:
    """What the oldest waiting job needs that is not in use now; None if there is no such job."""
    used = {(job.request.checkpoint, job.request.vae) for job in active}
    needing = (job for job in queue if job.request.ability and job not in active and not job.paused)
    waiting = ((job.request.checkpoint, job.request.vae) for job in needing)
    return next((target for target in waiting if target not in used), None)


class ReadAhead:
    """Reads one target at a time on a thread of its own; `want` changes its mind at once.

    `read(target, stopped)` does the work and returns soon after `stopped()` is true; what it raises is not told here, for
    whoever asks for the target meets it again.
    """

    def __init__(self, read: Callable[[Target, Callable[[], bool]], None]) -> None:
        self._read = read
        self._target: Target | None = None
        self._running = False
        self._changed = threading.Condition()

    def want(self, target: Target | None) -> None:
        """Returns at once; a target that is wanted already goes on or stays done, None only stops."""
        with self._changed:
            if target == self._target:
                return
            self._target = target
            if target is not None and not self._running:
                self._running = True
                threading.Thread(target=self._run, name="read ahead", daemon=True).start()

    def only(self, target: Target) -> None:
        """Stops what is being read unless it is this; starts nothing."""
        with self._changed:
            if self._target != target:
                self._target = None

    def idle(self, seconds: float) -> bool:
        """Whether there is nothing left to do, after at most so long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)

    def _run(self) -> None:
        done: Target | None = None
        while True:
            with self._changed:
                target = self._target
                if target is None or target == done:
                    self._running = False
                    self._changed.notify_all()
                    return
            try:
                self._read(target, lambda wanted=target: self._target != wanted)
            except StudioError as error:
                log.info("%s could not be read ahead: %s", target[0], error)
            except Exception:
                log.exception("%s could not be read ahead", target[0])
            done = target
