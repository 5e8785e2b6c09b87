"""The API's documentation at /docs: Swagger UI from an installed package, so that it works without a network."""

from collections.abc import Mapping
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from pipelines.modifiers import Modifier

from .api import PREFIX
from .api.openapi import document
from .assets import Assets

SETTINGS = {"validatorUrl": None, "displayRequestDuration": True, "tryItOutEnabled": True}  # the validator is another host


def docs_routes(api: FastAPI, modifiers: Mapping[str, Modifier]) -> list[BaseRoute]:
    """/docs, /openapi.json and the files of the page."""

    async def openapi(request: Request) -> Response:
        return JSONResponse(document(api, request.scope.get("root_path", "") + PREFIX, modifiers))

    async def page(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=f"{root}/openapi.json",
            title="Safelight: HTTP API",
            swagger_js_url=f"{root}/docs/files/swagger-ui-bundle.js",
            swagger_css_url=f"{root}/docs/files/swagger-ui.css",
            swagger_favicon_url=f"{root}/docs/files/favicon.png",
            swagger_ui_parameters=SETTINGS,
        )

    files = Path(fastapi_offline.__file__).parent / "static"
    return [Mount("/docs/files", Assets(files)), Route("/docs", page), Route("/openapi.json", openapi)]
