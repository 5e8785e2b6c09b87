"""Who goes into the engine with whom, and what becomes of jobs when it dies: without any engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.bell import Bell
from jobs.board import Board
from jobs.journal import Journal
from jobs.messages import Cancel, Pause
from jobs.store import Store
from jobs.views import NotHere
from pipelines.errors import InvalidRequest, StorageError
from pipelines.events import Failed, Finished, Loading, Paused, Saved, Started, Step
from pipelines.request import Request, Txt2Img

from .scripted import png


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    store = Store(tmp_path)
    store.prepare()
    journal = Journal(store.inner / "journal.sqlite")
    yield Board(journal, store, Bell())
    journal.close()


def request(**fields: object) -> Request:
    return Txt2Img(checkpoint="toy", seed=5, num_inference_steps=4, **fields)


def states(board: Board, *jobs: str) -> list[str]:
    return [board.view(job).state for job in jobs]


def test_at_most_eight_are_in_the_engine_and_paused_ones_do_not_count(board: Board):
    jobs = [board.submit(request(), "x") for _ in range(10)]
    taken = [order.job for _ in range(10) if (order := board.next_order())]
    assert taken == jobs[:8]
    assert [board.view(job).position for job in jobs] == list(range(1, 11))
    assert board.pause(jobs[0]) == Pause(jobs[0])
    board.apply(Paused(jobs[0]))
    assert board.next_order().job == jobs[8]


def test_a_job_tried_before_runs_alone(board: Board):
    first, second = (board.submit(request(), "x") for _ in range(2))
    board.next_order()
    board.next_order()
    board.apply(Started(first, 4))
    board.engine_lost()
    third = board.submit(request(), "y")  # whose turn comes first now
    assert board.next_order().job == third
    assert board.next_order() is None  # the first must wait for the third
    board.apply(Finished(third))
    assert board.next_order().job == first
    assert board.next_order() is None  # and the second for the first
    board.apply(Started(first, 4))
    board.engine_lost()
    assert states(board, first, second, third) == ["failed", "queued", "finished"]
    assert board.view(first).error == "The engine stopped twice while working on this job."
    assert board.view(second).attempt == 0


def test_a_job_that_kills_the_engine_before_it_says_anything_is_found(board: Board):
    killer, other = (board.submit(request(), "x") for _ in range(2))
    for _ in range(2):
        while board.next_order():
            pass
        board.engine_lost()
    assert states(board, killer, other) == ["failed", "queued"]


def test_what_was_asked_of_a_job_still_holds_when_the_engine_dies(board: Board):
    cancelled, pausing, paused, running = jobs = [board.submit(request(), "x") for _ in range(4)]
    for job in jobs:
        board.next_order()
        board.apply(Started(job, 4))
    assert board.cancel(cancelled) == Cancel(cancelled)
    board.pause(pausing)
    board.pause(paused)
    board.apply(Paused(paused))
    board.engine_lost()
    assert states(board, *jobs) == ["cancelled", "paused", "paused", "queued"]
    assert board.resume(paused) is None
    assert (states(board, paused), board.view(paused).attempt) == (["queued"], 0)
    assert "run again" in (board.view(running).notice or "")


def test_waiting_jobs_are_cancelled_and_paused_without_an_engine(board: Board):
    first, second = (board.submit(request(), "x") for _ in range(2))
    assert board.cancel(first) is None
    assert board.cancel(first) is None
    assert board.pause(second) is None
    assert states(board, first, second) == ["cancelled", "paused"]
    with pytest.raises(InvalidRequest, match="cancelled and cannot be paused"):
        board.pause(first)
    with pytest.raises(InvalidRequest, match="cancelled and cannot be resumed"):
        board.resume(first)
    with pytest.raises(InvalidRequest, match="only failed and cancelled jobs"):
        board.retry(second)
    board.retry(first)
    assert board.next_order().job == first
    with pytest.raises(NotHere, match="There is no job 'nobody'"):
        board.cancel("nobody")


def test_pictures_that_nobody_wrote_down_are_found_and_not_made_again(board: Board):
    job = board.submit(request(num_images_per_prompt=3), "x")
    board.next_order()
    board.apply(Started(job, 12))
    board.store.save_picture(job, 1, 6, png(6))
    board.store.save_picture(job, 2, 99, png(99))  # of another seed: not this one
    board.engine_lost()
    assert board.next_order().done == {1}
    assert len(board.view(job).images) == 1
    for index in (0, 2):
        board.store.save_picture(job, index, 5 + index, png(0))
    board.apply(Started(job, 12))
    board.journal.move(job, "queued", attempt=0)
    board._live.clear()
    assert board.next_order() is None  # all are there: no engine is needed
    assert (states(board, job), len(board.view(job).images)) == (["finished"], 3)


def test_an_owner_has_two_hundred_jobs_waiting_at_most(board: Board, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jobs.board.MOST_WAITING", 3)
    for _ in range(3):
        board.submit(request(), "x")
    with pytest.raises(InvalidRequest, match="3 of your jobs are waiting already; at most 3 may wait"):
        board.submit(request(), "x")
    board.submit(request(), "y")


def test_progress_and_time_left(board: Board, monkeypatch: pytest.MonkeyPatch):
    clock = iter((10.0, 11.0, 12.0, 17.0, 18.0))
    monkeypatch.setattr("jobs.board.time.monotonic", lambda: next(clock))
    job = board.submit(request(), "x")
    board.next_order()
    assert board.view(job).state == "queued"
    board.apply(Loading(job, "toy"))
    assert (board.view(job).state, board.view(job).loading, board.view(job).attempt) == ("running", "toy", 1)
    board.apply(Started(job, 10))
    for step in range(1, 6):
        board.apply(Step(job, step, 10, b"jpeg" if step == 4 else None))
    view = board.view(job)
    assert (view.step, view.total, view.eta, view.loading) == (5, 10, 5.0, None)
    assert board.frame(job, -1).step == 4
    assert board.frame(job, 4) is None
    assert board.pace() == 1.0


def test_events_of_jobs_that_ended_change_nothing_but_saved_pictures_count(board: Board):
    job = board.submit(request(), "x")
    board.next_order()
    board.apply(Failed(job, "no"))
    board.apply(Step(job, 1, 4))
    board.apply(Finished(job))
    name = board.store.save_picture(job, 0, 5, png(5))
    board.apply(Saved(job, 0, 5, "id", str(board.store.folder / name), 8, 8))
    assert (states(board, job), board.view(job).error, board.view(job).images) == (["failed"], "no", ("id",))


def test_a_request_that_this_program_does_not_understand_fails_with_its_sentence(board: Board):
    board.journal.add("a" * 32, "x", {"task": "txt2img", "checkpoint": "toy", "hologram": True}, 4)
    assert board.next_order() is None
    assert "hologram" in (board.view("a" * 32).error or "")


def test_while_the_journal_cannot_be_written_progress_waits_and_nothing_is_lost(board: Board):
    job = board.submit(request(), "x")
    board.next_order()
    board.apply(Started(job, 4))
    pages = board.journal._db.execute("PRAGMA page_count").fetchone()[0]
    limit = board.journal._db.execute(f"PRAGMA max_page_count={pages}").fetchone()[0]
    assert limit == pages  # SQLite says "database or disk is full" from here on
    with pytest.raises(StorageError, match="disk is full"):
        for _ in range(100):
            board.submit(request(prompt="long " * 1000), "x")
    for index in range(500):
        board.apply(Loading(job, "x" * 1000 + str(index)))
    board.apply(Finished(job))
    assert board.trouble and "disk is full" in board.trouble
    assert board.next_order() is None
    board.journal._db.execute("PRAGMA max_page_count=1000000")
    board.flush()
    assert board.trouble is None
    assert states(board, job) == ["finished"]
    assert [name for _, name, _ in board.journal.events(job)].count("loading") == 500
