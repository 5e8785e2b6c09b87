"""Watching a job over HTTP: its events, its previews, and many who watch at once."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.jobs.parts import until
from tests.ui.asking import finished
from tests.ui.serving import Served, served
from ui.api import streams
from ui.api.streams import SHORTEST_PAUSE


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("watching")) as it:
        yield it


def read_events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Server-sent events as a browser takes them apart; comments are left out."""
    event: dict[str, str] = {}
    for line in lines:
        if not line:
            if event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def test_events_from_the_first_to_the_last(it: Served) -> None:
    job = it.submit(prompt="loading hold:2")["id"]
    seen: list[dict[str, str]] = []
    with it.client.stream("GET", f"/api/v1/jobs/{job}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        for event in read_events(answer.iter_lines()):
            seen.append(event)
            if event["event"] == "step" and json.loads(event["data"])["step"] == 2:
                it.client.post(f"/api/v1/jobs/{job}/pause")
            if event["event"] == "paused":
                it.client.post(f"/api/v1/jobs/{job}/resume")
    names = [event["event"] for event in seen if event["event"] != "step"]
    assert names == ["queued", "loading", "started", "paused", "resumed", "saved", "finished"]
    assert all(("id" in event) == (event["event"] != "step") for event in seen)
    ids = [int(event["id"]) for event in seen if "id" in event]
    assert ids == sorted(set(ids))
    saved = json.loads(next(event["data"] for event in seen if event["event"] == "saved"))
    assert [saved["image"]] == finished(it, job)["images"]

    for resume in ({"headers": {"Last-Event-ID": str(ids[2])}}, {"params": {"after": ids[2]}}):
        with it.client.stream("GET", f"/api/v1/jobs/{job}/events", **resume) as answer:
            assert [event["id"] for event in read_events(answer.iter_lines())] == [str(each) for each in ids[3:]]
    assert it.client.get(f"/api/v1/jobs/{job}/events", headers={"Last-Event-ID": str(ids[-1])}).status_code == 204
    for beyond in ({"headers": {"Last-Event-ID": str(2**63)}}, {"params": {"after": 10**30}}):
        assert it.client.get(f"/api/v1/jobs/{job}/events", **beyond).status_code == 204


def test_steps_come_at_most_ten_times_a_second(it: Served) -> None:
    job = it.submit(prompt="x", num_inference_steps=150, num_images_per_prompt=8)["id"]
    began = time.monotonic()
    with it.client.stream("GET", f"/api/v1/jobs/{job}/events") as answer:
        names = [event["event"] for event in read_events(answer.iter_lines())]
    assert names[-1] == "finished"
    assert names.count("step") <= 1 + (time.monotonic() - began) / SHORTEST_PAUSE


def test_a_quiet_stream_says_that_it_is_there(it: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE_SECONDS", 0.05)
    job = it.submit(prompt="hold:1")["id"]
    with it.client.stream("GET", f"/api/v1/jobs/{job}/events") as answer:
        assert any(line.startswith(":") for line in answer.iter_lines())
    it.client.delete(f"/api/v1/jobs/{job}")


def test_the_preview_waits_for_the_next_frame_and_is_gone_at_the_end(it: Served) -> None:
    job = it.submit(prompt="hold:2")["id"]
    address = f"/api/v1/jobs/{job}/preview"
    until(lambda: it.client.get(f"/api/v1/jobs/{job}").json()["step"] == 2)
    answer = it.client.get(address)
    assert answer.content == b"jpeg 2"
    assert answer.headers["x-step"] == "2"
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "no-store"
    timer = threading.Timer(0.3, lambda: it.client.post(f"/api/v1/jobs/{job}/pause") and it.client.post(f"/api/v1/jobs/{job}/resume"))
    timer.start()
    later = it.client.get(f"{address}?after=2")
    assert later.status_code in (200, 204)
    timer.join()
    finished(it, job)
    last = it.client.get(address)
    assert (last.status_code, last.headers["x-ended"]) == (204, "1"), "which is no error in a browser's console"


def test_fifty_who_wait_hold_up_nobody(it: Served) -> None:
    job = it.submit(prompt="hold:2")["id"]
    until(lambda: it.client.get(f"/api/v1/jobs/{job}").json()["step"] == 2)

    async def crowd() -> tuple[float, list[int | str]]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=it.client.base_url, timeout=30, limits=limits) as client:
            waiting = [asyncio.create_task(client.get(f"/api/v1/jobs/{job}/preview?after=2")) for _ in range(50)]
            watching = [asyncio.create_task(client.get(f"/api/v1/jobs/{job}/events")) for _ in range(50)]
            await asyncio.sleep(0.5)
            began = time.monotonic()
            for _ in range(5):
                assert (await client.get("/api/v1/jobs")).status_code == 200
                assert (await client.get("/config")).status_code == 200
            took = time.monotonic() - began
            assert not any(task.done() for task in (*waiting, *watching))
            await client.delete(f"/api/v1/jobs/{job}")
            return took, [answer.headers.get("x-ended") or answer.status_code for answer in await asyncio.gather(*waiting, *watching)]

    took, statuses = asyncio.run(crowd())
    assert took < 5  # seconds for ten answers, on a machine that is busy with the rest of the tests
    assert statuses == ["1"] * 50 + [200] * 50
