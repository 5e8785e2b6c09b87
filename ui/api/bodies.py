"""Reads what clients send: a request as JSON, or a picture as raw bytes or as a form."""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from pipelines.errors import BadPicture, InvalidRequest

from .replies import WrongType

NO_PICTURE_TYPES = ("text/plain", "text/html", "application/json", "application/x-www-form-urlencoded")
PICTURE_BODY = {  # for the OpenAPI page
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}
            },
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/png", "image/jpeg", "image/webp")},
        },
    }
}


async def read_draft(request: Request) -> dict[str, Any]:
    """The JSON object in the body; NaN and Infinity come through as floats, for the field's own rule to refuse."""
    kind = _content_type(request)
    if kind != "application/json":
        raise WrongType(f"A job is sent as JSON with the header Content-Type: application/json; got {kind[:80]!r}.")
    return await run_in_threadpool(parse_draft, await request.body())


def parse_draft(body: bytes) -> dict[str, Any]:
    try:
        draft = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidRequest("The request is not valid JSON: it is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"The request is not valid JSON: {error}.") from None
    except ValueError:
        raise InvalidRequest("The request has a number of thousands of digits.") from None
    except RecursionError:
        raise InvalidRequest("The request is nested too deeply.") from None
    if not isinstance(draft, dict):
        raise InvalidRequest(f"A job is a JSON object, {{...}} with a value for each field; got {str(draft)[:60]!r}.")
    for field, value in draft.items():
        for text in (field, *_texts(value)):
            _check_text(field, text)
    return draft


async def read_picture(request: Request) -> bytes:
    """The bytes of the picture: the field `file` of a form, or the body as it is."""
    kind = _content_type(request)
    if kind in NO_PICTURE_TYPES:
        raise WrongType(f"A picture is sent as the field 'file' of a form or as a body of type image/png, -jpeg or -webp; got {kind!r}.")
    if kind != "multipart/form-data":
        return _not_empty(await request.body())
    async with request.form(max_files=1, max_fields=8) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadPicture("The form has no file; send the picture as its field 'file'.", "file")
        return _not_empty(await file.read())


def _not_empty(data: bytes) -> bytes:
    if not data:
        raise BadPicture("The picture is empty: no bytes arrived.", "file")
    return data


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _texts(value: Any) -> Iterator[str]:
    """Every string in a JSON value, also those that name the members of objects."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _check_text(field: str, text: str) -> None:
    """Neither databases nor PNG chunks can keep NUL or half of a surrogate pair, so they stop here."""
    name = field.encode("ascii", "replace").decode()[:80]
    if "\0" in text:
        raise InvalidRequest(f"{name} contains a NUL character, which is no text.", name)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest(f"{name} contains half of a character (a lone surrogate), which is no text.", name)
