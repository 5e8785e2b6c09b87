"""The journal against a model of the queue, over restarts; and when its file is broken."""

import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jobs.bell import Bell
from jobs.board import Board
from jobs.journal import Journal
from jobs.mending import open_journal
from jobs.store import SavedPicture, Store, picture_id
from pipelines.errors import StorageError
from pipelines.events import Cancelled, Failed, Finished, Paused, Resumed, Started

from .scripted import png


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    journal.close()


def picture(job: str, index: int, name: str | None = None) -> SavedPicture:
    name = name or f"2026-01-01/000000-{index}-{job[:8]}-{index}.png"
    return SavedPicture(picture_id(name), name, job[:8], index, index, 8, 8, 0.0)


def test_owners_take_turns_and_keep_their_own_order(journal: Journal):
    for job in ("a1", "a2", "a3", "b1", "c1", "b2"):
        journal.add(job, job[0], {}, 1)
    assert journal.order() == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert [row.id for _ in range(3) if (row := journal.claim())] == ["a1", "b1", "c1"]
    journal.add("c2", "c", {}, 1)
    assert journal.order() == ["a2", "b2", "c2", "a3"]


def test_a_job_that_was_tried_waits_until_it_can_run_alone(journal: Journal):
    journal.add("a", "x", {}, 1)
    journal.add("b", "x", {}, 1)
    journal.claim()
    journal.begin("a")
    journal.move("a", "queued")
    assert journal.claim(alone=False) is None
    assert (row := journal.claim(alone=True)) and row.id == "a"


def test_a_job_that_has_ended_stays_as_it_ended(journal: Journal):
    journal.add("a", "x", {}, 1)
    assert journal.move("a", "cancelled", "cancelled")
    assert not journal.move("a", "finished", "finished")
    assert [name for _, name, _ in journal.events("a")] == ["queued", "cancelled"]


def test_a_picture_is_listed_once(journal: Journal):
    journal.add_picture("a", picture("a", 0))
    journal.add_picture("a", picture("a", 0, "other.png"))
    journal.relist([picture("a", 0)])
    assert len(journal.pictures(10)) == 1
    assert [name for _, name, _ in journal.events("a")] == ["saved"]


def test_a_failed_change_leaves_nothing_behind(journal: Journal):
    journal.add("a", "x", {}, 1)
    with pytest.raises(sqlite3.IntegrityError):
        journal.add("a", "x", {}, 1)
    journal.add("b", "x", {}, 1)
    assert journal.order() == ["a", "b"]


@pytest.mark.parametrize("damage", ("rubbish", "truncated", "page", "other schema"))
def test_a_broken_file_is_kept_aside_and_the_pictures_are_listed_anew(tmp_path: Path, damage: str):
    store = Store(tmp_path)
    store.prepare()
    journal, notice = open_journal(store)
    assert notice is None
    for number in range(200):
        journal.add(f"job{number}", "x", {"prompt": "long " * 50}, 1)
    journal.close()
    names = [store.save_picture("abcdef01" * 4, index, index, png(index)) for index in range(3)]
    path = store.inner / "journal.sqlite"
    data = path.read_bytes()
    match damage:
        case "rubbish":
            path.write_bytes(b"this is no database " * 1000)
        case "truncated":
            path.write_bytes(data[: len(data) // 2 + 100])
        case "page":
            path.write_bytes(data[:4096] + b"\xff" * 8192 + data[12288:])
        case _:
            with sqlite3.connect(path) as db:
                db.execute("PRAGMA user_version = 99")
            db.close()
    broken = path.read_bytes()
    journal, notice = open_journal(store)
    assert notice and "begun anew" in notice
    assert [row.name for row in journal.pictures(10)] == names[::-1]
    assert journal.order() == []
    (kept,) = store.inner.glob("broken-*.sqlite")
    assert kept.read_bytes() == broken
    assert kept.name in notice
    journal.close()


@pytest.mark.parametrize("damaged", (False, True))
@pytest.mark.parametrize(("free", "words"), ((2**30, r"^The journal .* cannot be opened \("), (0, r"^The disk is full, so the journal ")))
def test_a_journal_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool, free: int, words: str
):
    store = Store(tmp_path)
    store.prepare()
    path = store.inner / "journal.sqlite"
    if damaged:
        path.write_bytes(b"this is no database " * 1000)
        monkeypatch.setattr("jobs.mending._put_aside", lambda path: path.unlink() or path.mkdir())  # no new file can be made
    else:
        path.mkdir()
    monkeypatch.setattr(Store, "free_bytes", lambda self: free)
    with pytest.raises(StorageError, match=words):
        open_journal(store)


@dataclass
class Model:
    owner: str
    state: str = "queued"
    tries: int = 0
    live: bool = False
    tried: bool = False  # before the engine took it

    @property
    def over(self) -> bool:
        return self.state in ("finished", "failed", "cancelled")


class Queue(RuleBasedStateMachine):
    """What users and engines do in any order, with crashes of the engine and of the program in between."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name))
        self.store.prepare()
        self.jobs: dict[str, Model] = {}
        self.turns: list[str] = []
        self.open()

    def open(self) -> None:
        self.journal, notice = open_journal(self.store)
        assert notice is None
        self.board = Board(self.journal, self.store, Bell())
        self.board.recover()

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()

    def pick(self, data: st.DataObject, *states: str) -> str | None:
        fitting = [job for job, found in self.jobs.items() if found.state in states]
        return data.draw(st.sampled_from(fitting)) if fitting else None

    def expected_order(self) -> list[str]:
        waiting = [job for job, found in self.jobs.items() if found.state == "queued"]
        turns, order = list(self.turns), []
        while waiting:
            heads = {self.jobs[job].owner: job for job in reversed(waiting)}
            last = {owner: max((turn for turn, taken in enumerate(turns) if taken == owner), default=-1) for owner in heads}
            owner = min(heads, key=lambda owner: (last[owner], waiting.index(heads[owner])))
            order.append(heads[owner])
            waiting.remove(heads[owner])
            turns.append(owner)
        return order

    @precondition(lambda self: sum(not found.over for found in self.jobs.values()) < 12)
    @rule(owner=st.sampled_from("xyz"), count=st.integers(1, 3))
    def submit(self, owner: str, count: int) -> None:
        for _ in range(count):
            job = f"{len(self.jobs):032x}"
            self.journal.add(job, owner, {"task": "txt2img", "checkpoint": "toy", "seed": 1}, 20)
            self.jobs[job] = Model(owner)

    @initialize(owners=st.lists(st.sampled_from("xyz"), min_size=4, max_size=9))
    def begin(self, owners: list[str]) -> None:
        for owner in owners:
            self.submit(owner, 1)

    @rule()
    def feed_and_work(self) -> None:
        self.feed()
        self.work()

    @rule()
    def feed(self) -> None:
        while True:
            expected = self.expected_order()
            working = [found for found in self.jobs.values() if found.live and found.state != "paused"]
            order = self.board.next_order()
            free = expected and len(working) < 8 and not any(found.tried for found in working)
            if not free or (working and self.jobs[expected[0]].tries):
                assert order is None
                return
            assert order is not None and order.job == expected[0]
            found = self.jobs[order.job]
            found.state, found.live, found.tried = "claimed", True, found.tries > 0
            self.turns.append(found.owner)

    def work(self) -> None:
        for job, found in self.jobs.items():
            if found.state == "claimed":
                self.board.apply(Started(job, 20))
                found.state, found.tries = "running", found.tries + 1

    @rule(data=st.data(), failed=st.booleans())
    def end(self, data: st.DataObject, failed: bool) -> None:
        if job := self.pick(data, "claimed", "running"):
            self.board.apply(Failed(job, "no") if failed else Finished(job))
            self.jobs[job].state, self.jobs[job].live = "failed" if failed else "finished", False

    @rule(data=st.data(), unheard=st.booleans())
    def cancel(self, data: st.DataObject, unheard: bool) -> None:
        if not (job := self.pick(data, "queued", "claimed", "running", "paused")):
            return
        order = self.board.cancel(job)
        assert bool(order) == self.jobs[job].live
        if order and unheard:
            self.die("program")
        elif order:
            self.board.apply(Cancelled(job))
        self.jobs[job].state, self.jobs[job].live, self.jobs[job].tries = "cancelled", False, self.journal.job(job).attempt

    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        if job := self.pick(data, "queued", "claimed", "running"):
            order = self.board.pause(job)
            assert bool(order) == self.jobs[job].live
            if order:
                self.board.apply(Paused(job))
            self.jobs[job].state = "paused"

    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        if not (job := self.pick(data, "paused")):
            return
        found = self.jobs[job]
        order = self.board.resume(job)
        assert bool(order) == found.live
        if order:
            self.board.apply(Resumed(job))
            found.state = self.journal.job(job).state
            assert found.state in ("claimed", "running")
        else:
            found.state, found.tries = "queued", max(found.tries - 1, 0)

    @rule(culprit=st.sampled_from(("program", "engine")))
    def die(self, culprit: str) -> None:
        live = [found for found in self.jobs.values() if found.live]
        if culprit == "program":
            self.journal.close()
            self.open()
        elif live and all(found.state != "running" for found in live):
            return  # who is suspected then has its own test
        else:
            self.board.engine_lost()
        for found in live:
            found.live = False
            if found.state == "running":
                found.state = "failed" if found.tries >= 2 else "queued"
            elif found.state == "claimed":
                found.state = "queued"

    @rule()
    def stop(self) -> None:
        self.board.put_all_back()
        self.journal.close()
        self.open()
        for found in self.jobs.values():
            if found.state in ("claimed", "running"):
                found.state, found.tries = "queued", found.tries - (found.state == "running")
            found.live = False

    @invariant()
    def agrees(self) -> None:
        for job, found in self.jobs.items():
            row = self.journal.job(job)
            assert row and (row.state, row.attempt) == (found.state, found.tries), job
        assert self.journal.order() == self.expected_order()


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
