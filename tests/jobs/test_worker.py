"""The worker alone, in a thread: what it writes, what it says, and what it does when it cannot write or nobody listens."""

import errno
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import files
from jobs.lock import FileLock
from jobs.messages import Beat, Broken, Cancel, Close, Ended, Order, Ready, WorkerConfig
from jobs.store import Store
from jobs.worker import Worker
from pipelines.events import Cancelled, Finished, Notice, Saved, Step
from pipelines.request import Txt2Img

from .scripted import Script, png

JOB = "0123456789abcdef" * 2


class Talk:
    """The supervisor's end of the pipe."""

    def __init__(self, folder: Path, **script: Any) -> None:
        self.store = Store(folder / "outputs")
        self.store.prepare()
        self.connection, theirs = multiprocessing.Pipe()
        self.abandoned = threading.Event()
        config = WorkerConfig("tests.jobs.scripted:build", Script(str(folder), **script))
        self.worker = Worker(theirs, config, self.store.folder, self.abandoned.set, retry=0.01)
        self.thread = threading.Thread(target=self.worker.run, daemon=True)

    def start(self) -> "Talk":
        self.thread.start()
        assert isinstance(self.hear(), Ready)
        return self

    def order(self, prompt: str = "", job: str = JOB, done: frozenset[int] = frozenset(), **fields: Any) -> None:
        request = Txt2Img(prompt=prompt, checkpoint="toy", seed=7, num_inference_steps=4, **fields)
        self.connection.send(Order(job, request, done))

    def hear(self) -> Any:
        while isinstance(message := self._next(), Beat):
            pass
        return message

    def hear_until(self, kind: type) -> list[Any]:
        heard = [self.hear()]
        while not isinstance(heard[-1], kind):
            heard.append(self.hear())
        return heard

    def _next(self) -> Any:
        assert self.connection.poll(20), "nothing was said"
        return self.connection.recv()

    def close(self) -> None:
        self.connection.close()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    talk = Talk(tmp_path).start()
    yield talk
    talk.close()


def some(kind: type, heard: list[Any]) -> list[Any]:
    return [message for message in heard if isinstance(message, kind)]


def test_pictures_are_on_disk_when_they_are_announced_and_latents_are_gone(talk: Talk):
    talk.order(num_images_per_prompt=2)
    heard = talk.hear_until(Finished)
    saved = some(Saved, heard)
    assert [(one.picture, one.seed, Path(one.path).read_bytes()) for one in saved] == [(0, 7, png(7)), (1, 8, png(8))]
    assert [one.image for one in saved] == [found.id for found in talk.store.pictures(JOB)]
    assert talk.store.kept_latents(JOB) == {}
    assert some(Step, heard)[-1].step == 8


def test_what_an_earlier_try_made_is_not_made_again(talk: Talk):
    talk.store.keep_latents(JOB, 2, b"latents of 2")
    talk.order(num_images_per_prompt=3, done=frozenset({0}))
    heard = talk.hear_until(Finished)
    assert [one.picture for one in some(Saved, heard)] == [1, 2]
    assert [one.message for one in some(Notice, heard)] == ["picture 2 is decoded from kept latents"]
    assert talk.store.kept_latents(JOB) == {}


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """A disk on which no file can be finished while it is full."""
    really, full = os.replace, threading.Event()

    def replace(source: object, target: object) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        really(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    return lambda state: full.set() if state else full.clear()


def test_on_a_full_disk_the_picture_stays_in_memory_until_there_is_room(talk: Talk, full_disk: Callable[[bool], None]):
    full_disk(True)
    talk.order()
    heard = talk.hear_until(Notice)  # of the latents, which are given up
    assert "the picture is made all the same" in heard[-1].message
    notice = talk.hear_until(Notice)[-1].message
    outputs = talk.store.folder
    assert notice == (
        f"The disk is full (folder {outputs}); the finished picture is kept in memory and will be saved as soon as there is room."
    )
    assert list(talk.store.pictures()) == []
    assert not list(outputs.rglob("*.part"))
    full_disk(False)
    heard = talk.hear_until(Finished)
    assert Path(some(Saved, heard)[0].path).read_bytes() == png(7)
    assert some(Notice, heard)[0].message == "The picture that was kept in memory is saved now."


def test_a_job_whose_picture_finds_no_room_can_be_cancelled(talk: Talk, full_disk: Callable[[bool], None]):
    full_disk(True)
    talk.order()
    talk.hear_until(Notice)
    talk.hear_until(Notice)
    talk.connection.send(Cancel(JOB))
    assert isinstance(talk.hear(), Cancelled)
    full_disk(False)
    talk.order(job="f" * 32)
    assert some(Saved, talk.hear_until(Finished))
    assert len(list(talk.store.pictures())) == 1


def test_a_worker_that_waits_for_room_can_be_closed_and_says_nothing_of_the_job(talk: Talk, full_disk: Callable[[bool], None]):
    full_disk(True)
    talk.order()
    talk.hear_until(Notice)
    talk.hear_until(Notice)
    talk.connection.send(Close())
    assert isinstance(talk.hear(), Ended)


@pytest.mark.skipif(os.name != "posix", reason="needs RLIMIT_FSIZE")
def test_a_limit_on_file_sizes_reads_like_a_full_disk(talk: Talk):
    import resource

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, old[1]))
    try:
        talk.order()
        talk.hear_until(Notice)
        heard = talk.hear_until(Notice)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert heard[-1].message.startswith("The disk is full")
    assert Path(some(Saved, talk.hear_until(Finished))[0].path).read_bytes() == png(7)


def test_when_nobody_listens_any_more_the_worker_ends(talk: Talk):
    talk.order("hold:2")
    while talk.hear_until(Step)[-1].step < 2:
        pass
    talk.connection.close()
    talk.thread.join(20)
    assert talk.abandoned.is_set()
    assert not talk.thread.is_alive()


def test_the_engine_is_built_only_when_the_last_worker_of_the_folder_is_gone(tmp_path: Path):
    talk = Talk(tmp_path)
    lock = FileLock(talk.store.inner / "worker.lock")
    assert lock.acquire()
    talk.thread.start()
    assert isinstance(talk._next(), Beat)  # alive, but no engine yet
    lock.release()
    assert isinstance(talk.hear(), Ready)
    status = talk._next().status
    assert (status["loaded"], status["memory_bytes"], status["device"]) == (["toy"], 1, "script")
    talk.close()


def test_an_engine_that_cannot_be_built_says_why(tmp_path: Path):
    talk = Talk(tmp_path, broken=True)
    talk.thread.start()
    assert talk.hear() == Broken("The script is broken.")
    talk.close()
