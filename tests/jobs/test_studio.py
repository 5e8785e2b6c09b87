"""The facade, with the engine in this process: asked for, watched, steered, found again."""

import asyncio
import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jobs.store import Store
from jobs.studio import Gone, NotHere, Studio
from pipelines.errors import BadPicture, InvalidRequest, StorageError, StudioError, UnknownName

from .parts import at_step, draft, ended, names, until
from .scripted import png


def test_a_job_from_asking_to_its_pictures(studio: Studio):
    job = studio.submit(draft("loading", num_images_per_prompt=2, seed=40))
    assert (job.state, job.total, job.task, job.position) == ("queued", 8, "txt2img", 1)
    done = ended(studio, job.id)
    assert (done.state, done.step, done.attempt, done.position, done.eta, done.error) == ("finished", 8, 1, None, None, None)
    assert done.created <= done.started <= done.finished
    assert names(studio, job.id) == ["queued", "loading", "started", "saved", "saved", "finished"]
    first, second = (studio.image(image) for image in done.images)
    assert (first.seed, second.seed, first.width, first.job) == (40, 41, 8, job.id)
    assert first.path.read_bytes() == png(40)
    assert first.path.parent.parent == studio.blobs.parent.parent
    assert [image.id for image in studio.images()] == [second.id, first.id]
    assert [image.id for image in studio.images(before=second.id)] == [first.id]


def test_the_json_of_a_job_is_the_contract(studio: Studio):
    job = studio.submit(draft("cat", seed=1)).as_json()
    assert set(job) == {
        *("id", "task", "state", "step", "total", "request", "images", "error", "notice", "attempt", "position"),
        *("created", "started", "finished", "eta", "loading", "calls"),
    }
    assert job["request"]["prompt"] == "cat"
    assert job["request"]["checkpoint"] == "toy"


def test_what_is_left_out_takes_the_checkpoints_settings_and_a_seed(studio: Studio):
    request = studio.submit({"prompt": "x"}).request
    listed = studio.models()
    (toy,) = listed["checkpoints"]
    assert listed["default"] == toy["name"] == "toy"
    assert (request["width"], request["height"]) == tuple(toy["native_size"])
    assert request | toy["recommended"] == request
    assert 0 <= request["seed"] < 2**32
    assert studio.submit({"prompt": "x"}).request["seed"] != request["seed"]


def test_cancel_a_running_and_a_waiting_job(studio: Studio):
    running = studio.submit(draft("hold:2"))
    at_step(studio, running.id, 2)
    assert studio.cancel(running.id).state in ("running", "cancelled")
    assert ended(studio, running.id).state == "cancelled"
    assert studio.cancel(running.id).state == "cancelled"


def test_pause_resume_and_cancel_while_paused(studio: Studio):
    held, other = studio.submit(draft("hold:2")), studio.submit(draft("hold:3"))
    for job, step in ((held.id, 2), (other.id, 3)):
        at_step(studio, job, step)
        studio.pause(job)
        until(lambda job=job: studio.job(job).state == "paused")
    assert studio.job(held.id).step == 2
    studio.resume(held.id)
    assert ended(studio, held.id).state == "finished"
    assert names(studio, held.id) == ["queued", "started", "paused", "resumed", "saved", "finished"]
    studio.cancel(other.id)
    assert ended(studio, other.id).state == "cancelled"


def test_a_failed_job_says_why_and_can_be_tried_again(studio: Studio):
    job = studio.submit(draft("fail:6:1", num_images_per_prompt=2))
    failed = ended(studio, job.id)
    assert (failed.state, failed.error, len(failed.images)) == ("failed", "The script says so.", 1)
    studio.retry(job.id)
    done = ended(studio, job.id)
    assert (done.state, done.error, done.attempt) == ("finished", None, 1)
    assert done.images[0] == failed.images[0]  # not made again
    with pytest.raises(InvalidRequest, match="only failed and cancelled"):
        studio.retry(job.id)


def test_owners_take_turns(studio: Studio):
    blockers = [studio.submit(draft("hold:1"), "a") for _ in range(8)]
    at_step(studio, blockers[7].id, 1)
    waiting = [studio.submit(draft(), owner) for owner in "aab"]
    assert [studio.job(job.id).position for job in waiting] == [2, 3, 1]
    assert [job.id for job in studio.jobs(limit=3)] == [job.id for job in reversed(waiting)]
    for job in blockers:
        studio.cancel(job.id)
    for job in waiting:
        assert ended(studio, job.id).state == "finished"
    assert studio.jobs(active_only=True) == []


def test_frames_are_waited_for_without_threads_and_the_newest_wins(studio: Studio):
    job = studio.submit(draft("hold:3"))
    at_step(studio, job.id, 3)

    async def watch() -> tuple[object, ...]:
        newest = await studio.frame(job.id, -1, 5)
        nothing = await studio.frame(job.id, 3, 0.01)
        threads = threading.active_count()
        waiting = asyncio.gather(*(studio.frame(job.id, 3, 10) for _ in range(200)), return_exceptions=True)
        await asyncio.sleep(0.01)
        assert threading.active_count() == threads
        studio.cancel(job.id)
        return newest, nothing, await waiting

    newest, nothing, last = asyncio.run(watch())
    assert (newest.step, newest.jpeg, nothing) == (3, b"jpeg 3", None)
    assert all(isinstance(one, Gone) for one in last)
    with pytest.raises(UnknownName, match="There is no job 'nobody'"):
        asyncio.run(studio.frame("nobody", -1, 0))


def test_changes_are_waited_for(studio: Studio):
    async def watch() -> tuple[int, int]:
        before = await studio.wait_change(-1, 0)
        waiting = asyncio.ensure_future(studio.wait_change(before, 10))
        await asyncio.to_thread(studio.submit, draft())
        return before, await waiting

    before, after = asyncio.run(watch())
    assert after > before


def test_events_are_resumed_behind_an_id(studio: Studio):
    job = studio.submit(draft(prompt="a cat"))
    ended(studio, job.id)
    events = studio.events(job.id)
    assert studio.events(job.id, after=events[1][0]) == events[2:]
    assert dict(events[2][2], picture=0) == events[2][2]
    with pytest.raises(NotHere):
        studio.events("nobody")


def test_many_threads_submit_at_once(studio: Studio):
    jobs: list[str] = []
    threads = [threading.Thread(target=lambda: jobs.extend(studio.submit(draft()).id for _ in range(5))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(jobs)) == 40
    assert {ended(studio, job).state for job in jobs} == {"finished"}
    assert len(studio.images(limit=100)) == 40


def test_a_deleted_picture_leaves_the_filmstrip(studio: Studio):
    job = ended(studio, studio.submit(draft()).id)
    studio.image(job.images[0]).path.unlink()
    assert studio.images() == []
    with pytest.raises(NotHere, match="There is no picture 'nobody'"):
        studio.image("nobody")


def test_little_room_refuses_new_jobs_only(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    job = studio.submit(draft("hold:1"))
    at_step(studio, job.id, 1)
    monkeypatch.setattr(Store, "free_bytes", lambda self: 1_000_000)
    with pytest.raises(StorageError, match="Only 1 MB are free"):
        studio.submit(draft())
    studio.pause(job.id)
    until(lambda: studio.job(job.id).state == "paused")
    studio.resume(job.id)
    assert ended(studio, job.id).state == "finished"


def test_health_and_what_there_is(studio: Studio):
    until(lambda: studio.health()["engine"] == "ready" and studio.health()["device"])
    assert studio.health() == {
        **{"status": "ok", "engine": "ready", "message": None, "restarts": 0, "notices": []},
        **{"device": "script", "loaded": ["toy"], "memory_bytes": 1, "version": "1"},
        **{"memory_plan": "", "waiting_bytes": 0, "load_errors": {}, "loads": []},
    }
    assert studio.models()["checkpoints"][0]["loaded"] is True
    schedulers = studio.schedulers()
    (ddim,) = (each for each in schedulers["schedulers"] if each["name"] == "ddim")
    assert (ddim["title"], ddim["kind"], ddim["schedules"]) == ("DDIM", "diffusers", ["automatic"])
    assert {"name": "karras", "title": "Karras"} in schedulers["schedules"]


def test_a_picture_tells_how_it_was_made_and_is_kept_as_an_upload(studio: Studio):
    file = io.BytesIO()
    chunks = PngInfo()
    chunks.add_text("parameters", "a cat\nSteps: 12, Sampler: Euler a, CFG scale: 6.5, Seed: 3, Size: 64x64")
    Image.new("RGB", (64, 48)).save(file, "PNG", pnginfo=chunks)
    found = studio.recipe(file.getvalue())
    assert (found["source"], found["request"]["prompt"], found["request"]["num_inference_steps"]) == ("a1111", "a cat", 12)
    assert studio.blob_path(found["upload"]).read_bytes() == file.getvalue()
    assert studio.put_blob(file.getvalue()).as_json() == {"id": found["upload"], "width": 64, "height": 48, "format": "PNG"}
    assert studio.recipe(png(3))["source"] is None
    with pytest.raises(BadPicture, match="no PNG, JPEG or WebP"):
        studio.put_blob(b"text named .png")


def test_a_second_studio_on_the_same_folder_is_one_sentence(studio: Studio, studios: Callable[..., Studio]):
    with pytest.raises(StorageError, match=r"Another Safelight \(process \d+\) is using the outputs folder"):
        studios()
    assert ended(studio, studio.submit(draft()).id).state == "finished"


def test_stopping_puts_back_what_ran_and_a_quick_start_goes_on(studios: Callable[..., Studio], outputs: Path):
    studio = studios()
    running, waiting = studio.submit(draft("hold:6:1", num_images_per_prompt=2)), studio.submit(draft("hold:2:1"))
    at_step(studio, running.id, 6)
    at_step(studio, waiting.id, 2)
    studio.pause(waiting.id)
    until(lambda: studio.job(waiting.id).state == "paused")
    studio.stop()
    assert not (outputs / ".safelight" / "journal.sqlite-wal").exists()
    with pytest.raises(StudioError, match="closing"):
        studio.submit(draft())
    again = studios()
    done = ended(again, running.id)
    assert (done.state, done.attempt, done.notice, len(done.images)) == ("finished", 1, None, 2)
    assert names(again, running.id).count("saved") == 2
    assert again.job(waiting.id).state == "paused"
    again.resume(waiting.id)
    assert ended(again, waiting.id).state == "finished"
    assert len(list(outputs.glob("*/*.png"))) == 3
    again.stop()
    studio.start()  # the same one, too
    assert studio.job(running.id).state == "finished"


def test_a_broken_journal_is_begun_anew_with_the_pictures(studios: Callable[..., Studio], outputs: Path):
    studio = studios()
    image = studio.image(ended(studio, studio.submit(draft(seed=9)).id).images[0])
    studio.stop()
    (outputs / ".safelight" / "journal.sqlite").write_bytes(b"rubbish" * 1000)
    again = studios()
    assert "begun anew" in again.health()["message"]
    (listed,) = again.images()
    assert (listed.id, listed.path, listed.seed) == (image.id, image.path, 9)
    assert ended(again, again.submit(draft()).id).state == "finished"


def test_an_empty_prompt_runs_and_is_remarked_upon(studio: Studio) -> None:
    assert "prompt is empty" in (studio.submit({"prompt": "  "}).notice or "")
    assert studio.submit({"prompt": "a cat"}).notice is None


def test_guidance_that_burns_a_picture_is_remarked_upon(studio: Studio) -> None:
    burns = studio.submit({"prompt": "a cat", "scheduler": "euler_cfg_pp", "guidance_scale": 7}).notice
    assert burns == "Euler CFG++ is made for a guidance of 1 to 2; 7 burns the picture."
    assert studio.submit({"prompt": "a cat", "scheduler": "euler_cfg_pp", "guidance_scale": 1.5}).notice is None
