"""The HTTP API, the same for the page and for programs: `build_api(studio)` is an ASGI app to mount under /api/v1."""

from typing import TYPE_CHECKING

from fastapi import FastAPI

from . import info, jobs, pictures, shapes, streams
from .replies import add_error_replies

if TYPE_CHECKING:
    from jobs.studio import Studio

PREFIX = "/api/v1"
ABOUT = """Ask for pictures, watch them develop, fetch them. Every error is one sentence.

A studio that is open to a network asks for the key of its link: send it as `Authorization: Bearer <key>`."""
MEANINGS = {
    403: "Refused at the door: another site, an unknown host name, or no access key.",
    404: "There is nothing of that id.",
    413: "Larger than what is taken.",
    415: "A body of a type that this route does not take.",
    422: "A field breaks its rule.",
    507: "The disk is full or cannot be written.",
}


def build_api(studio: "Studio") -> FastAPI:
    """The routes over one studio. Every error is `{"error": sentence, "field": name or null}`."""
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
    add_error_replies(api)
    for router in (jobs.router, streams.router, pictures.router, info.router):
        api.include_router(router)
    return api
