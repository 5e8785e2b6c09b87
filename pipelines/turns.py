"""Whose turn it is: who takes far longer than was announced gives way to those who wait, and goes on after them."""

from collections.abc import Sequence

from .running import JobRun

SHORTEST = 100  # calls: a change of models costs about as much as some calls
PATIENCE = 2  # calls for each step that was announced: as many as a sampler of second order makes


def over(active: Sequence[JobRun], queue: Sequence[JobRun]) -> bool:
    """Whether the oldest of those at work has had its turn, while others wait that cannot run beside it. What is in the middle of
    something that cannot be interrupted is left to end it."""
    if not active or all(job in active or job.paused for job in queue):
        return False
    if any(run.doing for job in active for run in job.pictures):
        return False
    leader = active[0]
    return leader.calls - leader.turn >= max(SHORTEST, PATIENCE * leader.total)


def behind(active: Sequence[JobRun], queue: list[JobRun]) -> None:
    """Puts those that were at work at the end of the queue."""
    for job in active:
        queue.remove(job)
        queue.append(job)
        job.turn = job.calls
