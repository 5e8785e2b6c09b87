"""Waiters on several event loops are woken from any thread, and only for what they wait for."""

import asyncio
import threading

from jobs.bell import Bell


async def _waits(bell: Bell, topic: str | None = None, count: int = 1) -> "asyncio.Future[list[int]]":
    waiting = asyncio.gather(*(bell.wait(bell.version, 10, topic) for _ in range(count)))
    await asyncio.sleep(0)
    return waiting


def test_a_ring_from_another_thread_wakes_every_waiter():
    async def run() -> list[int]:
        bell = Bell()
        waiting = await _waits(bell, count=100)
        threading.Thread(target=bell.ring, args=("a",)).start()
        return await waiting

    assert set(asyncio.run(run())) == {2}


def test_a_waiter_for_a_topic_sleeps_through_others():
    async def run() -> tuple[bool, bool]:
        bell = Bell()
        waiting = await _waits(bell, "a")
        bell.ring("b")
        await asyncio.sleep(0.02)
        before = waiting.done()
        bell.ring("a")
        await waiting
        return before, waiting.done()

    assert asyncio.run(run()) == (False, True)


def test_what_was_missed_returns_at_once_and_nothing_new_returns_after_the_timeout():
    async def run() -> tuple[int, int]:
        bell = Bell()
        bell.ring()
        return await bell.wait(1, 10), await bell.wait(2, 0.01)

    assert asyncio.run(run()) == (2, 2)


def test_loops_that_have_closed_are_forgotten():
    bell = Bell()

    async def leave() -> None:
        task = asyncio.ensure_future(bell.wait(1, 10))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    bell.ring()
    assert not bell._waiting
