"""What happens to a job while one watches: its newest preview by long poll, its events as a stream."""

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from jobs.studio import Studio
from jobs.views import JobView

from .deps import StudioDep

router = APIRouter(tags=["watching"])

POLL_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 15.0
SHORTEST_PAUSE = 0.1  # between two looks at a job: at most ten steps a second
LAST_ID = 2**63 - 1  # the largest that SQLite can have given
NOTHING = {204: {"headers": {"X-Ended": {"description": "There when nothing will come any more.", "schema": {"type": "integer"}}}}}
JPEG = {200: {"content": {"image/jpeg": {}}, "headers": {"X-Step": {"schema": {"type": "integer"}}}}, **NOTHING}
PICTURE = {200: {"content": {"image/png": {}}}, **NOTHING}
NO_STORE = {"Cache-Control": "no-store"}
Event = tuple[int, str, dict[str, Any]]


@router.get("/jobs/{job}/preview", response_class=Response, responses=JPEG)
async def preview(studio: StudioDep, job: str, after: Annotated[int, Query(ge=-1)] = -1) -> Response:
    """The newest clean estimate later than step `after`: waits for it up to ten seconds, then 204.

    204 with the header `X-Ended` when the job has ended: there is nothing more to ask for.
    """
    frame = await studio.frame(job, after, POLL_SECONDS)
    if frame is None:
        return Response(status_code=204, headers=NO_STORE)
    return Response(frame.jpeg, media_type="image/jpeg", headers={**NO_STORE, "X-Step": str(frame.step)})


@router.get("/jobs/{job}/picture", response_class=Response, responses=PICTURE)
async def picture(studio: StudioDep, job: str) -> Response:
    """The picture of a live job: waits for it up to ten seconds, then 204; with the header `X-Ended` when it was cancelled."""
    made = await studio.live.picture(job, POLL_SECONDS)
    if made is None:
        return Response(status_code=204, headers=NO_STORE)
    return Response(made.data, media_type=made.media_type, headers=NO_STORE)


@router.get("/jobs/{job}/events", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}, 204: {}})
async def events(
    studio: StudioDep,
    job: str,
    after: Annotated[int, Query(ge=0)] = 0,
    last_event_id: Annotated[int | None, Header(ge=0)] = None,
) -> Response:
    """Server-sent events, named as they are in the journal; `step` events carry no id, at most ten a second.

    Resumes behind `Last-Event-ID` (or `after`). Ends when the job has ended; 204 when there is nothing left to tell,
    which keeps an `EventSource` from asking again.
    """
    last = min(after if last_event_id is None else last_event_id, LAST_ID)
    view, news = await run_in_threadpool(_look, studio, job, last)
    if view.ended and not news:
        return Response(status_code=204, headers=NO_STORE)
    headers = {**NO_STORE, "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(studio, job, last), media_type="text/event-stream", headers=headers)


def _look(studio: Studio, job: str, last: int) -> tuple[JobView, list[Event]]:
    """The state is read before the events: what ended the job is then among them."""
    view = studio.job(job)
    return view, studio.events(job, last)


async def _stream(studio: Studio, job: str, last: int) -> AsyncIterator[bytes]:
    shown: tuple[object, ...] = ()
    version = await studio.wait_change(-1, 0)
    while True:
        looked = time.monotonic()
        view, news = await run_in_threadpool(_look, studio, job, last)
        for last, name, data in news:
            yield _event(name, data, last)
        if view.ended:
            return
        progress = (view.step, view.total, view.calls)
        if view.state == "running" and view.total and progress != shown:
            shown = progress
            yield _event("step", {"step": view.step, "total": view.total, "eta": view.eta, "calls": view.calls})
        await anyio.sleep(max(0.0, looked + SHORTEST_PAUSE - time.monotonic()))
        before, version = version, await studio.wait_change(version, KEEP_ALIVE_SECONDS)
        if version == before:
            yield b": still here\n\n"


def _event(name: str, data: dict[str, Any], id: int | None = None) -> bytes:
    head = "" if id is None else f"id: {id}\n"
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n".encode("ascii")
