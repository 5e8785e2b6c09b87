"""Live jobs: the newest wins, nothing of them is listed or written, and what is kept becomes a usual job."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import proofs
from jobs.live_mode import LiveMode
from jobs.studio import Gone, NotHere, Studio
from jobs.views import JobView
from pipelines.errors import InvalidRequest, StudioError

from .parts import at_step, draft, ended, until
from .scripted import png

MINE, THEIRS = "session-mine", "session-theirs"


def made(studio: Studio, job: JobView) -> bytes:
    found = asyncio.run(studio.live.picture(job.id, 20))
    assert found is not None
    return found.data


def files(outputs: Path) -> set[str]:
    """What lies in the outputs folder besides the journal and uploads."""
    inside = (path.relative_to(outputs).as_posix() for path in outputs.rglob("*") if path.is_file())
    return {name for name in inside if name.startswith(("2", ".safelight/latents", ".safelight/thumbnails"))}


def test_a_live_picture_is_in_no_list_and_on_no_disk(studio: Studio, outputs: Path):
    job = studio.live.submit(draft("a fox", seed=7), MINE)
    assert made(studio, job) == png(7)
    done = studio.job(job.id)
    assert (done.state, done.step, done.images, done.request["prompt"]) == ("finished", 4, (), "a fox")
    assert studio.jobs() == studio.images() == []
    assert files(outputs) == set()


def test_the_newest_of_a_session_takes_the_place_of_the_older(studio: Studio):
    other = studio.live.submit(draft("hold:2"), THEIRS)
    first = studio.live.submit(draft("hold:2"), MINE)
    at_step(studio, first.id, 2)
    second = studio.live.submit(draft("a fox", seed=1), MINE)
    assert made(studio, second) == png(1)
    assert ended(studio, first.id).state == "cancelled"
    with pytest.raises(Gone):
        asyncio.run(studio.live.picture(first.id, 1))
    at_step(studio, other.id, 2)
    assert studio.cancel(other.id).state in ("running", "cancelled")
    assert ended(studio, other.id).state == "cancelled"


def test_who_paints_on_keeps_the_place_in_the_line(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(proofs, "AT_ONCE", 1)
    held = studio.live.submit(draft("hold:1"), "session-first")
    at_step(studio, held.id, 1)
    early = studio.live.submit(draft("one"), MINE)
    theirs = studio.live.submit(draft("hold:1"), THEIRS)
    mine = studio.live.submit(draft("hold:1"), MINE)
    assert studio.job(early.id).state == "cancelled"
    studio.cancel(held.id)
    at_step(studio, mine.id, 1)
    assert studio.job(theirs.id).state == "queued"


def test_a_waiting_queue_and_live_jobs_let_each_other_through(studio: Studio):
    held = [studio.submit(draft("hold:2")) for _ in range(8)]
    for job in held:
        at_step(studio, job.id, 2)
    waiting = studio.submit(draft("after that"))
    assert made(studio, studio.live.submit(draft(seed=3), MINE)) == png(3)
    assert studio.job(waiting.id).state == "queued"
    studio.cancel(held[0].id)
    assert ended(studio, waiting.id).state == "finished"


def test_only_the_newest_few_are_remembered(studio: Studio):
    jobs = []
    for seed in range(proofs.KEPT + 2):
        jobs.append(studio.live.submit(draft(seed=seed), MINE))
        made(studio, jobs[-1])
    for old in jobs[:2]:
        with pytest.raises(NotHere):
            studio.job(old.id)
    assert [made(studio, job) for job in jobs[2:]] == [png(seed) for seed in range(2, proofs.KEPT + 2)]


def test_there_is_room_for_so_many_sessions(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(proofs, "MOST_SESSIONS", 2)
    first = studio.live.submit(draft(seed=1), "session-first")
    made(studio, first)
    held = studio.live.submit(draft("hold:1"), MINE)
    studio.live.submit(draft("hold:1"), THEIRS)
    with pytest.raises(NotHere):
        studio.job(first.id)
    with pytest.raises(InvalidRequest, match="2 live sessions"):
        studio.live.submit(draft(), "session-first")
    studio.cancel(held.id)
    ended(studio, held.id)
    studio.live.submit(draft(), "session-first")


def test_what_is_kept_becomes_a_usual_job(studios: Callable[..., Studio], outputs: Path):
    studio = studios()
    job = studio.live.submit(draft("a fox", seed=7), MINE)
    made(studio, job)
    kept = studio.live.keep(job.id)
    assert (kept.id, kept.state, kept.request) == (job.id, "finished", job.request)
    assert studio.picture(kept.images[0]) == png(7)
    assert [one.id for one in studio.jobs()] == [job.id]
    assert [one.id for one in studio.images()] == list(kept.images)
    assert studio.live.keep(job.id).images == kept.images  # a second time changes nothing
    assert len(files(outputs)) == 1
    studio.stop()
    again = studios()
    assert again.job(job.id).images == kept.images


def test_a_program_that_ends_while_it_keeps_a_picture_makes_it_again(
    studios: Callable[..., Studio], outputs: Path, monkeypatch: pytest.MonkeyPatch
):
    studio = studios()
    job = studio.live.submit(draft("a fox", seed=7), MINE)
    made(studio, job)
    monkeypatch.setattr(LiveMode, "_settle", lambda *given: None)
    studio.live.keep(job.id)
    done = ended(studio, job.id)
    assert done.state == "finished" and studio.picture(done.images[0]) == png(7)


def test_what_is_not_finished_cannot_be_kept_nor_held(studio: Studio):
    job = studio.live.submit(draft("hold:2"), MINE)
    at_step(studio, job.id, 2)
    with pytest.raises(InvalidRequest, match="finished"):
        studio.live.keep(job.id)
    for ask in (studio.pause, studio.resume, studio.retry):
        with pytest.raises(InvalidRequest, match="live job"):
            ask(job.id)
    with pytest.raises(NotHere):
        studio.live.keep("0" * 32)


def test_a_failure_is_told_and_the_next_is_made(studio: Studio):
    job = studio.live.submit(draft("fail:2"), MINE)
    with pytest.raises(StudioError, match="The script says so"):
        made(studio, job)
    assert made(studio, studio.live.submit(draft(seed=2), MINE)) == png(2)


def test_an_engine_that_dies_takes_the_live_job_with_it_and_no_other(studios: Callable[..., Studio]):
    studio = studios(in_process=False)
    until(lambda: studio.health()["engine"] == "ready")
    waiting = studio.submit(draft("hold:2:1"))
    at_step(studio, waiting.id, 2)
    job = studio.live.submit(draft("die:2"), MINE)
    with pytest.raises(StudioError, match="The engine stopped"):
        made(studio, job)
    assert ended(studio, waiting.id).state == "finished"
    assert made(studio, studio.live.submit(draft(seed=5), MINE)) == png(5)


def test_it_makes_one_picture(studio: Studio):
    with pytest.raises(InvalidRequest, match="one picture"):
        studio.live.submit(draft(num_images_per_prompt=2), MINE)


def test_uploads_are_lent_and_kept_with_what_names_them(studio: Studio):
    first, second = (studio.live.put_blob(png(level, 64, 64)).id for level in (1, 2))
    kept = studio.live.submit(draft(task="img2img", image=first, seed=1), MINE)
    made(studio, kept)
    studio.live.keep(kept.id)
    usual = studio.submit(draft("hold:1", task="img2img", image=second))
    store = studio.blobs
    for path in (store / "lent").iterdir():
        os.utime(path, (0, 0))
    third = studio.live.put_blob(png(3, 64, 64)).id
    made(studio, studio.live.submit(draft(task="img2img", image=third), MINE))
    assert [path.name for path in (store / "lent").iterdir()] == [third]
    assert studio.blob_path(first).read_bytes() == png(1, 64, 64)
    assert studio.blob_path(second).parent.parent == store
    studio.cancel(usual.id)


def test_nothing_lent_outlives_the_program(studios: Callable[..., Studio]):
    studio = studios()
    lent = studio.live.put_blob(png(1, 64, 64)).id
    assert studio.blob_path(lent).is_file()
    studio.stop()
    again = studios()
    with pytest.raises(NotHere):
        again.blob_path(lent)
