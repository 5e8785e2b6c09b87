"""Jobs: asked for, looked at, cancelled, paused, resumed, tried again."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from jobs.studio import Studio
from jobs.views import JobView

from . import shapes
from .bodies import read_draft
from .deps import StudioDep
from .inputs import keep_pictures
from .openapi import JOB_BODY
from .replies import Reply

router = APIRouter(tags=["jobs"])
Session = Annotated[str | None, Query(pattern=r"^[\w-]{8,64}$", description="Any name that others do not guess, the same for each job.")]


@router.post("/jobs", status_code=201, response_model=shapes.Job, openapi_extra=JOB_BODY)
async def submit(studio: StudioDep, request: Request, live: Session = None) -> Reply:
    """Asks for pictures. Fields that are left out take the checkpoint's recommended settings.

    `image` and `mask_image` are ids of uploads, `data:` URIs, base64, or `{"image": id}` for a picture of the gallery.
    With `live` it is one picture for now: the job is in no list, takes the place of those that its session has unfinished, and
    its picture, which `/jobs/{job}/picture` gives, is forgotten when newer ones are made, unless it is kept.
    """
    draft = await read_draft(request)
    job = await run_in_threadpool(_submit, studio, draft, live)
    return Reply(job.as_json(), 201, {"Location": f"jobs/{job.id}"})


def _submit(studio: Studio, draft: dict[str, object], session: str | None) -> JobView:
    if session is not None:
        return studio.live.submit(keep_pictures(studio.live, draft), session)
    return studio.submit(keep_pictures(studio, draft))


@router.get("/jobs", response_model=shapes.Jobs)
async def listed(studio: StudioDep, limit: Annotated[int, Query(ge=1, le=500)] = 50, active: bool = False) -> Reply:
    """The newest jobs; with `active` only those that wait, run or are paused."""
    # The version is taken first: a change in between makes it look old, never newer than the list.
    version = await studio.wait_change(-1, 0)
    jobs = await run_in_threadpool(studio.jobs, limit, active)
    return Reply({"jobs": [job.as_json() for job in jobs], "version": version})


@router.get("/jobs/{job}", response_model=shapes.Job)
def one(studio: StudioDep, job: str) -> Reply:
    return Reply(studio.job(job).as_json())


@router.delete("/jobs/{job}", response_model=shapes.Job)
def cancel(studio: StudioDep, job: str) -> Reply:
    """Cancels; what the job has finished stays."""
    return Reply(studio.cancel(job).as_json())


@router.post("/jobs/{job}/keep", response_model=shapes.Job)
def keep(studio: StudioDep, job: str) -> Reply:
    """Makes a usual job of a finished live one, its picture one of the gallery."""
    return Reply(studio.live.keep(job).as_json())


@router.post("/jobs/{job}/{action}", response_model=shapes.Job)
def act(studio: StudioDep, job: str, action: Literal["pause", "resume", "retry"]) -> Reply:
    """Holds a job between two steps, lets it go on, or tries an ended one again."""
    actions = {"pause": studio.pause, "resume": studio.resume, "retry": studio.retry}
    return Reply(actions[action](job).as_json())
