"""Live jobs: kept in memory alone, one at a time for each session, their pictures forgotten as newer ones are made."""

import threading
import time
from dataclasses import dataclass, replace

from pipelines import events as ev
from pipelines.errors import InvalidRequest
from pipelines.request import Request

from .bell import Bell
from .live import Live, view_of
from .messages import Cancel, Order
from .rows import JobRow
from .store import blobs_in
from .views import ENDED, Frame, Gone, JobView, NotHere

KEPT = 3  # ended jobs of a session that are remembered, of those with a picture and of those without
MOST_SESSIONS = 32
AT_ONCE = 4  # in the engine


@dataclass
class Proof:
    """`live` while the engine has it, `made` once there is a picture."""

    session: str
    request: Request
    row: JobRow
    live: Live | None = None
    made: ev.Decoded | None = None

    @property
    def ended(self) -> bool:
        return self.row.state in ENDED


class Proofs:
    """Thread-safe. Nothing of it outlives the program: what is worth that is kept as a usual job."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._lock = threading.RLock()
        self._all: dict[str, Proof] = {}  # oldest first
        self._last_place = 0

    def __contains__(self, job: str) -> bool:
        return job in self._all

    def find(self, job: str) -> Proof:
        """Raises NotHere."""
        found = self._all.get(job)
        if found is None:
            raise NotHere("live job", job)
        return found

    def blobs(self) -> set[str]:
        """The uploads that live jobs need."""
        with self._lock:
            return {blob for proof in self._all.values() for blob in blobs_in(proof.row.request)}

    # -- what the user asks -------------------------------------------------------------------------------------------

    def add(self, job: str, session: str, request: Request) -> list[Cancel]:
        """Takes the place of the session's older jobs, which are cancelled; the orders for those that the engine has."""
        with self._lock:
            self._make_room(session)
            older = [name for name, proof in self._all.items() if proof.session == session and not proof.ended]
            # The turn is the session's: who paints on loses no place by it.
            place = min((self._all[name].row.place for name in older if not self._all[name].live), default=self._last_place + 1)
            self._last_place = max(place, self._last_place)
            orders = [order for name in older if (order := self.cancel(name))]
            told = request.model_dump(mode="json")
            row = JobRow(job, place, session, told, "queued", 0, request.steps_run, 0, 0, None, None, time.time(), None, None)
            self._all[job] = Proof(session, request, row)
        return orders

    def _make_room(self, session: str) -> None:
        sessions = {proof.session: proof for proof in self._all.values()}  # with the newest of each
        if session in sessions or len(sessions) < MOST_SESSIONS:
            return
        resting = [name for name, newest in sessions.items() if newest.ended]
        if not resting:
            raise InvalidRequest(f"{len(sessions)} live sessions are at work already; that is the most there may be at once.")
        for job in [name for name, proof in self._all.items() if proof.session == resting[0]]:
            del self._all[job]

    def cancel(self, job: str) -> Cancel | None:
        with self._lock:
            proof = self.find(job)
            if proof.ended:
                return None
            if proof.live is None:
                self._end(proof, "cancelled")
                return None
            proof.live.asked = "cancel"
        return Cancel(job)

    def forget(self, job: str) -> None:
        with self._lock:
            self._all.pop(job, None)

    # -- for the engine -----------------------------------------------------------------------------------------------

    def working(self) -> list[Live]:
        """Those in the engine."""
        with self._lock:
            return [proof.live for proof in self._all.values() if proof.live]

    def next_order(self) -> Order | None:
        with self._lock:
            waiting = [proof for proof in self._all.values() if proof.row.state == "queued" and proof.live is None]
            if not waiting or len(self.working()) >= AT_ONCE:
                return None
            proof = min(waiting, key=lambda each: each.row.place)
            proof.live = Live(proof.row.id, proof.row.total)
        return Order(proof.row.id, proof.request, live=True)

    def apply(self, event: ev.JobEvent | ev.Decoded) -> bool:
        """What happened in the engine; False when it is about no live job."""
        with self._lock:
            proof = self._all.get(event.job)
            if proof is None:
                return False
            if proof.live is not None:
                self._apply(event, proof, proof.live)
        self._bell.ring(event.job)
        return True

    def _apply(self, event: ev.JobEvent | ev.Decoded, proof: Proof, live: Live) -> None:
        match event:
            case ev.Loading(what=what):
                self._begin(proof, live)
                live.loading = what
            case ev.Started(total=total):
                self._begin(proof, live)
                live.loading, live.total = None, total
            case ev.Step(step=step, total=total, frame=frame, calls=calls):
                self._begin(proof, live)
                live.stepped(step, total, frame, time.monotonic(), calls)
            case ev.Notice(message=message):
                proof.row = replace(proof.row, notice=message or None)
            case ev.Decoded():
                proof.made = event
            case ev.Finished():
                self._end(proof, "finished" if proof.made else "cancelled")
            case ev.Failed(message=message):
                self._end(proof, "failed", message)
            case ev.Cancelled():
                self._end(proof, "cancelled")

    def _begin(self, proof: Proof, live: Live) -> None:
        if not live.begun:
            live.begun = True
            proof.row = replace(proof.row, state="running", attempt=1, started=time.time())

    def _end(self, proof: Proof, state: str, error: str | None = None) -> None:
        step = proof.live.step if proof.live else 0
        proof.row = replace(
            proof.row, state=state, error=error, step=proof.row.total if state == "finished" else step, finished=time.time()
        )
        proof.live = None
        self._sweep(proof.session)
        self._bell.ring(proof.row.id)

    def _sweep(self, session: str) -> None:
        ended = [proof for proof in self._all.values() if proof.session == session and proof.ended]
        for alike in ([one for one in ended if one.made], [one for one in ended if not one.made]):
            for old in alike[:-KEPT]:
                del self._all[old.row.id]

    def lost(self, culprit: str | None) -> None:
        """The engine is no more, by its own fault ("engine") or in good order (None): nothing is made again."""
        with self._lock:
            for proof in [proof for proof in self._all.values() if proof.live]:
                if culprit is None or (proof.live and proof.live.asked):
                    self._end(proof, "cancelled")
                else:
                    self._end(proof, "failed", f"The {culprit} stopped while working on this picture.")

    # -- what is seen -------------------------------------------------------------------------------------------------

    def view(self, job: str) -> JobView | None:
        """None when it is no live job."""
        with self._lock:
            proof = self._all.get(job)
            return proof and view_of(proof.row, proof.live, (), None)

    def frame(self, job: str, after: int) -> Frame | None:
        """As the board's: takes no lock; raises Gone when the job has ended."""
        proof = self.find(job)
        if proof.ended:
            raise Gone("This job has ended.")
        frame = proof.live.frame if proof.live else None
        return frame if frame and frame.step != after else None
