"""The board: the journal's jobs and the live ones as one picture, changed by events and by the user's wishes."""

import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pipelines import events as ev
from pipelines import request as requests
from pipelines.errors import InvalidRequest, StorageError, StudioError
from pipelines.request import Request

from .backlog import Backlog
from .bell import Bell
from .journal import Journal
from .live import Live, shown_state, view_of
from .mending import left_over, put_back, unlisted
from .messages import Cancel, Order, Pause, Resume
from .proofs import Proofs
from .rows import JobRow
from .store import SavedPicture, Store
from .views import ENDED, Frame, Gone, JobView, NotHere

AT_ONCE = 8  # jobs in the engine that are not paused
MOST_WAITING = 200  # jobs of one owner


class Board:
    """Thread-safe. What the user asks returns the order that must go to the engine, or None when the board did it."""

    def __init__(self, journal: Journal, store: Store, bell: Bell) -> None:
        self.journal = journal
        self.store = store
        self.bell = bell
        self.closing = False
        self.proofs = Proofs(bell)
        self._began = time.time()
        self._lock = threading.RLock()
        self._live: dict[str, Live] = {}
        self._backlog = Backlog(str(store.inner))
        self._order: tuple[int, dict[str, int]] = (0, {})

    @property
    def trouble(self) -> str | None:
        """Why the journal cannot be written just now, in one sentence."""
        return self._backlog.trouble

    # -- what the user asks -------------------------------------------------------------------------------------------

    @contextmanager
    def asked(self, job: str) -> Iterator[None]:
        """Changes the board on somebody's wish and tells everyone; a journal that cannot be written is their sentence."""
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise StorageError(f"The journal in {self.store.inner} cannot be written ({error}); try again when there is room.") from error
        self.bell.ring(job)

    def submit(self, request: Request, owner: str, notice: str | None = None) -> str:
        job = uuid.uuid4().hex
        with self.asked(job):
            waiting = self.journal.waiting(owner)
            if waiting >= MOST_WAITING:
                raise InvalidRequest(f"{waiting} of your jobs are waiting already; at most {MOST_WAITING} may wait at once.")
            self.journal.add(job, owner, request.model_dump(mode="json"), request.steps_run * request.num_images_per_prompt)
            if notice:
                self.journal.note(job, "notice", {"message": notice}, notice=notice)
        return job

    def cancel(self, job: str) -> Cancel | None:
        with self.asked(job):
            if job in self.proofs:
                return self.proofs.cancel(job)
            row, live = self._row(job), self._live.get(job)
            if row.state in ENDED:
                return None
            if live is None:
                self.journal.move(job, "cancelled", "cancelled")
                return None
            live.asked = "cancel"
            self._backlog.write(lambda: self.journal.note(job, "", {}, cancelling=1))
            return Cancel(job)

    def pause(self, job: str) -> Pause | None:
        with self.asked(job):
            row, live = self._row(job), self._live.get(job)
            if row.state in ENDED:
                raise InvalidRequest(f"This job is {row.state} and cannot be paused.")
            if live is None and row.state == "queued":
                self.journal.move(job, "paused", "paused")
            if live is None or live.paused or live.asked:
                return None
            live.asked = "pause"
            return Pause(job)

    def resume(self, job: str) -> Resume | None:
        with self.asked(job):
            row, live = self._row(job), self._live.get(job)
            if row.state in ENDED:
                raise InvalidRequest(f"This job is {row.state} and cannot be resumed.")
            if live is None and row.state == "paused":
                # The pause was no fault of the job: the try that it ended does not count.
                self.journal.move(job, "queued", "resumed", attempt=max(row.attempt - 1, 0))
            if live is None:
                return None
            live.asked = None if live.asked == "pause" else live.asked
            return Resume(job)

    def retry(self, job: str) -> None:
        with self.asked(job):
            row = self._row(job)
            if row.state not in ("failed", "cancelled"):
                raise InvalidRequest(f"This job is {shown_state(row.state)}; only failed and cancelled jobs can be tried again.")
            self.journal.retry(job)

    # -- for the supervisor -------------------------------------------------------------------------------------------

    def next_order(self) -> Order | None:
        """The next job for the engine, claimed; a job that was tried before goes in alone, so that one which kills the
        engine takes no other with it."""
        with self._lock:
            working = [live for live in self._live.values() if not live.paused]
            if self.closing or any(live.tried for live in working):
                return None
            if order := self.proofs.next_order():
                return order
            if self.trouble or len(working) >= AT_ONCE:
                return None
            try:
                while row := self.journal.claim(alone=not working and not self.proofs.working()):
                    self.bell.ring(row.id)
                    if order := self._order_of(row):
                        return order
            except sqlite3.Error:
                self._backlog.write(self.journal.check)  # says what the trouble is until it is over
        return None

    def _order_of(self, row: JobRow) -> Order | None:
        """None for a job that needs no engine any more."""
        try:
            request = requests.parse(row.request)
        except StudioError as error:  # written by another version of the program
            message = str(error)
            self._backlog.write(lambda: self.journal.move(row.id, "failed", "failed", {"message": message}, error=message))
            return None
        done = {picture.picture for picture in self.journal.pictures_of(row.id)}
        if row.attempt or row.started or row.created < self._began:
            for found in unlisted(self.journal, self.store, row, request):
                self._backlog.write(partial(self.journal.add_picture, row.id, found))
                done.add(found.picture)
        if len(done) == request.num_images_per_prompt:
            self._backlog.write(lambda: self.journal.move(row.id, "finished", "finished", step=row.total))
            return None
        self._live[row.id] = Live(row.id, row.total, tried=row.attempt > 0)
        return Order(row.id, request, frozenset(done))

    def apply(self, event: ev.JobEvent | ev.Decoded) -> None:
        """What happened in the engine; events of jobs that it has no more are ignored, saved pictures are not."""
        if self.proofs.apply(event):
            return
        with self._lock:
            live = self._live.get(event.job)
            if isinstance(event, ev.Saved):
                name = Path(event.path).relative_to(self.store.folder).as_posix()
                saved = SavedPicture(event.image, name, event.job[:8], event.picture, event.seed, event.width, event.height, time.time())
                self._backlog.write(lambda: self.journal.add_picture(event.job, saved))
            elif live is not None:
                self._apply(event, live)
        self.bell.ring(event.job)

    def _apply(self, event: ev.JobEvent | ev.Decoded, live: Live) -> None:
        job, journal = event.job, self.journal
        match event:
            case ev.Loading(what=what):
                self._begin(live)
                live.loading = what
                self._backlog.write(lambda: journal.note(job, "loading", {"what": what}))
            case ev.Started(total=total):
                self._begin(live)
                live.loading, live.total = None, total
                self._backlog.write(lambda: journal.note(job, "started", {"total": total}, total=total))
            case ev.Step(step=step, total=total, frame=frame, calls=calls):
                self._begin(live)
                live.stepped(step, total, frame, time.monotonic(), calls)
            case ev.Notice(message=message):
                self._backlog.write(lambda: journal.note(job, "notice", {"message": message}, notice=message or None))
            case ev.Paused():
                live.paused, live.asked = True, live.asked if live.asked == "cancel" else None
                live.interrupted()
                self._backlog.write(lambda: journal.move(job, "paused", "paused", step=live.step))
            case ev.Resumed():
                live.paused = False
                state = "running" if live.begun else "claimed"
                self._backlog.write(lambda: journal.move(job, state, "resumed"))
            case ev.Finished():
                self._end(live, "finished", {})
            case ev.Failed(message=message):
                self._end(live, "failed", {"message": message}, error=message)
            case ev.Cancelled():
                self._end(live, "cancelled", {})

    def _begin(self, live: Live) -> None:
        if not live.begun:
            live.begun = True
            self._backlog.write(lambda: self.journal.begin(live.job))

    def _end(self, live: Live, state: str, data: dict[str, str], **columns: str) -> None:
        step = live.total if state == "finished" else live.step
        self._backlog.write(lambda: self.journal.move(live.job, state, state, data, step=step, **columns))
        del self._live[live.job]

    def engine_lost(self) -> None:
        """The engine died: what it worked on is queued once more or has failed, what merely waited in it is queued."""
        with self._lock:
            lost = list(self._live.values())
            if lost and not any(live.begun for live in (*lost, *self.proofs.working())):
                self._begin(lost[0])  # it must have been this one: without a suspect the engine could die for ever
            self._put_back(lost, culprit="engine")
            self.proofs.lost("engine")

    def put_all_back(self) -> None:
        """The program stops in good order: nobody is to blame."""
        with self._lock:
            self._put_back(list(self._live.values()), culprit=None)
            self.proofs.lost(None)

    def recover(self) -> None:
        """At start-up: what an earlier process left claimed or running is queued once more, or has failed."""
        self._put_back(left_over(self.journal), culprit="program")

    def _put_back(self, lost: list[Live], culprit: str | None) -> None:
        for live in lost:
            self._live.pop(live.job, None)
            self._backlog.write(partial(put_back, self.journal, self.store, live, culprit))
            self.bell.ring(live.job)

    def pace(self) -> float | None:
        """The usual seconds between two steps of the slowest job; None while the pace of one is not known."""
        with self._lock:
            paces = [live.pace() for live in (*self._live.values(), *self.proofs.working()) if live.begun and not live.paused]
        return None if None in paces else max(paces, default=None)

    def working(self) -> bool:
        """Whether the engine has something to do."""
        with self._lock:
            return any(not live.paused for live in (*self._live.values(), *self.proofs.working()))

    def flush(self) -> None:
        """Tries again what could not be written to the journal before."""
        with self._lock:
            self._backlog.flush()

    # -- what is seen -------------------------------------------------------------------------------------------------

    def view(self, job: str) -> JobView:
        with self._lock:
            return self.proofs.view(job) or self._view(self._row(job))

    def views(self, limit: int, active_only: bool) -> list[JobView]:
        with self._lock:
            return [self._view(row) for row in self.journal.jobs(limit, active_only)]

    def frame(self, job: str, after: int) -> Frame | None:
        """The newest frame when it is not the one of step `after`; raises Gone when the job has ended.

        Takes no lock: it is called on the event loop, which must not wait for the disk.
        """
        if job in self.proofs:
            return self.proofs.frame(job, after)
        if live := self._live.get(job):
            return live.frame if live.frame and live.frame.step != after else None
        if self._row(job).state in ENDED:
            raise Gone("This job has ended.")
        return None

    def _row(self, job: str) -> JobRow:
        if job in self.proofs:
            raise InvalidRequest("This is a live job: it can be cancelled, and kept when it is finished.")
        row = self.journal.job(job)
        if row is None:
            raise NotHere("job", job)
        return row

    def _view(self, row: JobRow) -> JobView:
        images = tuple(picture.id for picture in self.journal.pictures_of(row.id))
        position = self._position(row.id) if shown_state(row.state) == "queued" else None
        return view_of(row, self._live.get(row.id), images, position)

    def _position(self, job: str) -> int | None:
        """1 is next. Those that wait inside the engine come first."""
        version = self.bell.version
        if self._order[0] != version:
            inside = [live.job for live in self._live.values() if not live.begun]
            self._order = (version, {name: place for place, name in enumerate([*inside, *self.journal.order()], 1)})
        return self._order[1].get(job)
