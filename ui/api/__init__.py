"""The HTTP API, the same for the page and for programs: `build_api(studio)` is an ASGI app to mount under /api/v1."""

from typing import TYPE_CHECKING

from fastapi import FastAPI

from . import control, downloads, info, jobs, library, models, pictures, prompts, shapes, streams
from .owner import Managing
from .replies import add_error_replies

if TYPE_CHECKING:
    from jobs.studio import Studio

PREFIX = "/api/v1"
ABOUT = """Ask for pictures, watch them develop, fetch them. Every error is one sentence.

A studio that is open to a network asks for the key of its link: send it as `Authorization: Bearer <key>`."""
MEANINGS = {
    403: "Refused at the door: another site, an unknown host name, or no access key; or only the owner may do this.",
    404: "There is nothing of that id.",
    413: "Larger than what is taken.",
    415: "A body of a type that this route does not take.",
    422: "A field breaks its rule.",
    502: "Another server, from which something was to be downloaded, does not give it.",
    507: "The disk is full or cannot be written.",
}


def build_api(studio: "Studio", managing: Managing = "here") -> FastAPI:
    """The routes over one studio. Every error is `{"error": sentence, "field": name or null}`. `managing` says who may download,
    load and annotate models."""
    api = FastAPI(
        title="Safelight",
        version=studio.health()["version"],
        description=ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        responses={status: {"model": shapes.Error, "description": meaning} for status, meaning in MEANINGS.items()},
    )
    api.state.studio = studio
    api.state.managing = managing
    add_error_replies(api)
    for room in (jobs, streams, pictures, prompts, info, library, models, downloads, control):
        api.include_router(room.router)
    return api
