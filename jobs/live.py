"""What is known of a job only while the engine has it: steps, the newest frame, how long a step takes; and its view."""

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from .rows import JobRow
from .views import Frame, JobView


@dataclass
class Live:
    """`tried`: an earlier engine died while working on it. `begun`: this engine has worked on it."""

    job: str
    total: int
    tried: bool = False
    begun: bool = False
    paused: bool = False
    asked: str | None = None  # "pause" or "cancel": on its way to the engine
    step: int = 0
    calls: int = 0
    loading: str | None = None
    frame: Frame | None = None
    _times: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=64), repr=False)

    def stepped(self, step: int, total: int, jpeg: bytes | None, now: float, calls: int = 0) -> None:
        self.step, self.total, self.loading, self.calls = step, total, None, calls
        self._times.append((now, step))
        if jpeg is not None:
            self.frame = Frame(step, jpeg)

    def interrupted(self) -> None:
        """The clock of the steps starts anew, so that a pause counts as no slow step."""
        self._times.clear()

    def step_seconds(self) -> float | None:
        """Median seconds per step; None before there are two."""
        times = list(self._times)
        each = [(late - early) / (step - before) for (early, before), (late, step) in pairwise(times) if step > before]
        return median(each) if each else None

    def pace(self) -> float | None:
        """Median seconds from one report of steps to the next (several pictures may step together)."""
        times = [moment for moment, _ in self._times]
        return median(late - early for early, late in pairwise(times)) if len(times) > 1 else None

    def eta(self) -> float | None:
        """Seconds left; None while that cannot be told, and where a sampler takes as many steps as it needs."""
        seconds = self.step_seconds()
        return None if seconds is None or self.paused or self.calls else max(self.total - self.step, 0) * seconds


def shown_state(state: str) -> str:
    """The state as users know it: a job that waits inside the engine waits."""
    return "queued" if state == "claimed" else state


def view_of(row: JobRow, live: Live | None, images: tuple[str, ...], position: int | None) -> JobView:
    """The journal's row with what is known of the job while it lives."""
    state = shown_state(row.state)
    return JobView(
        id=row.id,
        task=str(row.request.get("task", "")),
        owner=row.owner,
        state=state,
        step=live.step if live else row.step if state != "queued" else 0,
        total=live.total if live else row.total,
        request=row.request,
        images=images,
        error=row.error,
        notice=row.notice,
        attempt=row.attempt,
        position=position,
        created=row.created,
        started=row.started,
        finished=row.finished,
        eta=live.eta() if live else None,
        loading=live.loading if live else None,
        calls=live.calls if live else 0,
    )
