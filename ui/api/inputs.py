"""Turns the pictures inside a job's JSON into blobs: data: URIs, base64, or pictures of the gallery."""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from jobs.views import BlobView, ImageView
from pipelines.errors import BadPicture, InvalidRequest
from pipelines.request import TASKS

BLOB_ID = re.compile(r"^[0-9a-f]{64}$")
DATA_URI = re.compile(r"^data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,", re.ASCII)
ADDRESS = re.compile(r"^\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
PICTURE_FIELDS = frozenset(
    name
    for model in TASKS.values()
    for name, field in model.model_fields.items()
    if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("place") == "picture"
)


class Keeper(Protocol):
    """Keeps pictures for jobs, and knows those of the gallery: the studio, or its live mode."""

    def put_blob(self, data: bytes) -> BlobView: ...
    def image(self, id: str) -> ImageView: ...


def keep_pictures(studio: Keeper, draft: Mapping[str, Any]) -> dict[str, Any]:
    """The draft with every picture in it kept as a blob and named by its id; raises `InvalidRequest` for the field."""
    model = TASKS.get(str(draft.get("task", "txt2img")))
    taken = PICTURE_FIELDS & set(model.model_fields if model else ())
    kept = {field: _blob_id(studio, field, value) if field in taken else value for field, value in draft.items()}
    if isinstance(modifiers := kept.get("modifiers"), dict):
        kept["modifiers"] = {name: _in_units(studio, params) for name, params in modifiers.items()}
    return kept


def _in_units(studio: Keeper, params: Any) -> Any:
    """A modifier's parameters with the picture of each of its units kept, where it has units."""
    if not isinstance(params, dict) or not isinstance(params.get("units"), list):
        return params
    return {**params, "units": [_in_unit(studio, unit) for unit in params["units"]]}


def _in_unit(studio: Keeper, unit: Any) -> Any:
    return {**unit, "image": _blob_id(studio, "modifiers", unit["image"])} if isinstance(unit, dict) and "image" in unit else unit


def _blob_id(studio: Keeper, field: str, value: Any) -> Any:
    """Values of no known form are returned as they are: the request's own rule names what is wrong with them."""
    if isinstance(value, dict) and set(value) == {"image"} and isinstance(value["image"], str):
        return _kept(studio, field, lambda: studio.image(value["image"]).path.read_bytes())
    if not isinstance(value, str) or not value or BLOB_ID.match(value):
        return value
    if ADDRESS.match(value):
        raise InvalidRequest(f"{field} is an address; nothing is fetched: upload the picture or send it as a data: URI.", field)
    return _kept(studio, field, lambda: _decoded(field, value))


def _kept(studio: Keeper, field: str, read: Callable[[], bytes]) -> str:
    """Errors that have no field of their own, or another's, are about `field`."""
    try:
        return studio.put_blob(read()).id
    except FileNotFoundError:
        raise InvalidRequest(f"{field} names a picture whose file is no longer there.", field) from None
    except BadPicture as error:
        raise BadPicture(str(error), field) from None
    except InvalidRequest as error:
        raise InvalidRequest(str(error), field) from None


def _decoded(field: str, text: str) -> bytes:
    match = DATA_URI.match(text[:200])
    try:
        return base64.b64decode("".join(text[match.end() if match else 0 :].split()), validate=True)
    except ValueError:
        raise InvalidRequest(f"{field} is neither the id of an upload nor a picture as a data: URI or base64.", field) from None
