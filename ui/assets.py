"""Serves the files of one folder: only what lies in it, with its right type, checked again at every use."""

from pathlib import Path, PurePath

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

# Python asks the system for types, and Windows may call a script text/plain, which `nosniff` then refuses to run.
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


class Assets(StaticFiles):
    """Files of the types above, with ETag; `no-cache` makes browsers ask whether theirs is still the newest."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, check_dir=False, follow_symlink=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        kind = TYPES.get(PurePath(path).suffix.lower())
        if kind is None or scope["path"].endswith("/") or any(part.startswith(".") for part in PurePath(path).parts):
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        if response.status_code == 200:
            response.headers["Content-Type"] = kind
        response.headers["Cache-Control"] = "no-cache"
        return response
