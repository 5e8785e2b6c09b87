"""How the API answers: JSON that any string fits into, and every error as one sentence with the field it is about."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.fetching import FetchError
from jobs.views import Gone, NotHere
from pipelines.errors import CheckpointError, InvalidRequest, StorageError, StudioError

log = logging.getLogger("safelight.api")

HTTP_SENTENCES = {
    404: "There is nothing at this address; /docs lists what there is.",
    405: "This address does not take this method; /docs lists what it takes.",
    413: "The request is larger than what is taken.",
}


class Reply(Response):
    """JSON in plain ASCII: lone surrogates and the like pass as escapes instead of failing."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def error_reply(status: int, sentence: str, field: str | None = None, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply({"error": sentence, "field": field}, status, headers)


class WrongType(StudioError):
    """The body is of a type that this route does not take."""


def status_of(error: StudioError) -> int:
    """The HTTP status of an error that a user may meet."""
    if isinstance(error, NotHere):
        return 404
    if isinstance(error, WrongType):
        return 415
    if isinstance(error, InvalidRequest | CheckpointError):
        return 422
    if isinstance(error, FetchError):
        return 502
    return 507 if isinstance(error, StorageError) else 503


def add_error_replies(api: FastAPI) -> None:
    """Every error of `api` leaves as `{"error", "field"}`; what nobody foresaw is logged and leaves as a plain sentence."""

    @api.exception_handler(StudioError)
    async def studio_error(request: Request, error: StudioError) -> Reply:
        return error_reply(status_of(error), str(error), getattr(error, "field", None))

    @api.exception_handler(Gone)
    async def gone(request: Request, error: Gone) -> Response:
        """No error, or browsers would write one into their console whenever a job ends while it is watched."""
        return Response(status_code=204, headers={"Cache-Control": "no-store", "X-Ended": "1"})

    @api.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Reply:
        first = error.errors()[0]
        field = str(first["loc"][-1])
        rule = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
        return error_reply(422, f"{field[:80]} {rule}; got {str(first.get('input'))[:60]!r}.", field)

    @api.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Reply:
        said = str(error.detail)
        is_own = said not in (phrase.phrase for phrase in HTTPStatus)
        return error_reply(error.status_code, said if is_own else HTTP_SENTENCES.get(error.status_code, said), headers=error.headers)

    api.add_middleware(CatchAll)


class CatchAll:
    """Answers for a route that failed as nobody foresaw; without it the failure would be logged by every layer above."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            log.exception("%s %s failed", scope.get("method"), scope["path"])
            if not started:
                answer = error_reply(500, "Something went wrong inside the studio; its log in the terminal says what.")
                await answer(scope, receive, send)
