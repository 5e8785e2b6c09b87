"""The OpenAPI document: a job's body in it has the very fields and bounds that validate it."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from pipelines.modifiers import Modifier
from pipelines.request import TASKS, Request

from .inputs import PICTURE_FIELDS

REF = "#/components/schemas/{model}"
NAMES = {task: REF.format(model=model.__name__) for task, model in TASKS.items()}
JOB_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [{"$ref": name} for name in NAMES.values()],
                    "discriminator": {"propertyName": "task", "mapping": NAMES},
                },
                "example": {"task": "txt2img", "prompt": "a red fox on a blue background", "seed": 7},
            }
        },
    }
}
PICTURE_FORMS = [
    {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "The id of an upload."},
    {"type": "string", "pattern": "^data:", "description": "A data: URI; its base64 alone will do, too."},
    {"type": "object", "properties": {"image": {"type": "string"}}, "required": ["image"], "description": "A picture of the gallery."},
]


def document(api: FastAPI, address: str, modifiers: Mapping[str, Modifier]) -> dict[str, Any]:
    """OpenAPI 3.1 for the routes of `api`, which answer under `address`; a request may ask for `modifiers`."""
    made = get_openapi(
        title=api.title,
        version=api.version,
        description=api.description,
        routes=api.routes,
        servers=[{"url": address}],
        tags=api.openapi_tags,
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for model in TASKS.values():
        schema = _schema(model)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for modifier in modifiers.values():
        settings = _plain(modifier.Params.model_json_schema(ref_template=REF))
        schemas.update(settings.pop("$defs", {}))
        schemas[modifier.Params.__name__] = {**settings, "title": modifier.title}
    named = {name: {"$ref": REF.format(model=modifier.Params.__name__)} for name, modifier in modifiers.items()}
    schemas["Modifiers"] = {"type": "object", "description": "Each that is on, by its name, with its settings.", "properties": named}
    made["components"]["schemas"] = dict(sorted(schemas.items()))
    return made


def _schema(model: type[Request]) -> dict[str, Any]:
    """The model's own JSON schema, with the other ways of sending a picture beside the id."""
    schema = model.model_json_schema(ref_template=REF)
    for name, field in _plain(schema)["properties"].items():
        if name in PICTURE_FIELDS:
            schema["properties"][name] = {"title": field["title"], "description": field["description"], "anyOf": PICTURE_FORMS}
    schema["properties"]["modifiers"] = {"$ref": REF.format(model="Modifiers")}
    return schema


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Without what only the page has a use for."""
    for field in schema.get("properties", {}).values():
        for word in ("place", "choices", "empty", "unset", "word", "titles"):
            field.pop(word, None)
    return schema
