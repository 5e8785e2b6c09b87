"""A real child process that is killed, hangs or never comes up; the jobs in it survive once."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.studio import Studio
from jobs.supervisor import RESTARTING, Limits

from .parts import at_step, draft, ended, names, until

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


@pytest.fixture
def studio(studios: Callable[..., Studio]) -> Studio:
    return studios(in_process=False)


def engine_pid(studio: Studio) -> int:
    return studio._supervisor.state.pid


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@posix
def test_a_killed_engine_is_started_again_and_its_job_is_run_once_more(studio: Studio, outputs: Path):
    job = studio.submit(draft("hold:6:1", num_images_per_prompt=2, seed=1))
    waiting = studio.submit(draft("hold:2:1"))
    at_step(studio, job.id, 6)
    at_step(studio, waiting.id, 2)
    first = studio.job(job.id).images
    os.kill(engine_pid(studio), signal.SIGKILL)
    until(lambda: studio.health()["engine"] == "restarting")
    assert studio.health()["message"] == RESTARTING
    done, other = ended(studio, job.id), ended(studio, waiting.id)
    assert (done.state, done.attempt, other.state, other.attempt) == ("finished", 2, "finished", 2)
    assert done.notice == "The engine stopped while working on this job; it is being run again."
    assert (len(done.images), done.images[:1]) == (2, first)
    assert names(studio, job.id) == ["queued", "started", "saved", "requeued", "started", "saved", "finished"]
    assert len(list(outputs.glob("*/*.png"))) == 3
    assert (studio.health()["engine"], studio.health()["message"], studio.health()["restarts"]) == ("ready", None, 1)


def test_a_job_that_kills_the_engine_twice_fails_and_takes_no_other_with_it(studio: Studio):
    others = [studio.submit(draft("hold:4:1")) for _ in range(2)]
    for job in others:
        at_step(studio, job.id, 4)
    killer = studio.submit(draft("die:2"))
    failed = ended(studio, killer.id)
    assert failed.error == "The engine stopped twice while working on this job."
    assert failed.notice is None  # it said that the job is being run again
    assert [ended(studio, job.id).state for job in others] == ["finished", "finished"]
    assert studio.health()["restarts"] == 2


@pytest.mark.parametrize("in_process", (False, True))
def test_an_exception_in_the_engine_is_a_death_like_any_other(studios: Callable[..., Studio], in_process: bool):
    studio = studios(in_process=in_process)
    job = studio.submit(draft("crash:2:1"))
    done = ended(studio, job.id)
    assert (done.state, done.attempt) == ("finished", 2)


def test_latents_that_were_kept_are_decoded_and_not_developed_again(studio: Studio):
    job = studio.submit(draft("undecoded:1"))
    done = ended(studio, job.id)
    assert (done.state, done.attempt, done.notice) == ("finished", 2, "picture 0 is decoded from kept latents")


@posix
def test_a_job_cancelled_while_the_engine_is_dead_is_cancelled(studios: Callable[..., Studio]):
    studio = studios(in_process=False, limits=Limits(backoff=30))
    asked, later = studio.submit(draft("hold:2")), studio.submit(draft("hold:2"))
    at_step(studio, asked.id, 2)
    at_step(studio, later.id, 2)
    pid = engine_pid(studio)
    os.kill(pid, signal.SIGSTOP)
    studio.cancel(asked.id)
    os.kill(pid, signal.SIGKILL)
    assert ended(studio, asked.id).state == "cancelled"
    assert until(lambda: studio.job(later.id).state == "queued")
    assert studio.cancel(later.id).state == "cancelled"


@posix
def test_an_engine_whose_heart_stands_still_is_replaced(studios: Callable[..., Studio]):
    studio = studios(in_process=False, limits=Limits(heartbeat=2.5, backoff=0.05))
    job = studio.submit(draft("hold:2:1"))
    at_step(studio, job.id, 2)
    pid = engine_pid(studio)
    os.kill(pid, signal.SIGSTOP)
    assert ended(studio, job.id).state == "finished"
    assert until(lambda: gone(pid))


def test_an_engine_that_makes_no_step_is_replaced(studios: Callable[..., Studio]):
    studio = studios(in_process=False, limits=Limits(step=1.5, backoff=0.05))
    job = studio.submit(draft("hold:3:1"))  # two steps, whose pace is then known, and no third one
    done = ended(studio, job.id)
    assert (done.state, done.attempt) == ("finished", 2)


def test_an_engine_that_cannot_be_built_leaves_the_jobs_waiting_and_says_why(studios: Callable[..., Studio]):
    studio = studios(in_process=False, broken=True)
    job = studio.submit(draft())
    until(lambda: studio.health()["engine"] == "failed")
    assert studio.health()["message"] == "The script is broken."
    assert (studio.job(job.id).state, studio.job(job.id).attempt) == ("queued", 0)


@posix
def test_stopping_leaves_no_process_behind(studio: Studio):
    job = studio.submit(draft("hold:2"))
    at_step(studio, job.id, 2)
    pid = engine_pid(studio)
    studio.stop()
    assert gone(pid)
    assert studio.health()["engine"] == "stopped"


@posix
def test_a_child_that_does_not_answer_is_killed_when_the_studio_stops(studios: Callable[..., Studio]):
    studio = studios(in_process=False, limits=Limits(closing=0.2))
    until(lambda: studio.health()["engine"] == "ready")
    pid = engine_pid(studio)
    os.kill(pid, signal.SIGSTOP)
    studio.stop()
    assert gone(pid)
