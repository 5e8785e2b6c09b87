"""Pictures and clips: the finished ones by their id, uploads, and what a file tells about how it was made."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

from pipelines import media

from . import shapes
from .bodies import PICTURE_BODY, read_picture
from .deps import StudioDep
from .replies import Reply

router = APIRouter(tags=["pictures"])

PICTURE = {200: {"content": {kind: {} for kind in ("image/png", "image/jpeg", "image/webp")}}}
MADE = {200: {"content": {kind: {} for kind in media.ENDINGS}}, 206: {"description": "The bytes that a Range header asks for."}}
JPEG = {200: {"content": {"image/jpeg": {}}}}
KEPT = {"Cache-Control": "private, max-age=31536000, immutable"}


@router.get("/images", response_model=shapes.Images)
def listed(studio: StudioDep, limit: Annotated[int, Query(ge=1, le=500)] = 50, before: str | None = None) -> Reply:
    """The newest pictures, or those made before the picture `before`."""
    return Reply({"images": [image.as_json() for image in studio.images(limit, before)]})


@router.get("/images/{image}", response_class=FileResponse, responses=MADE)
def one(studio: StudioDep, image: str, download: bool = False) -> FileResponse:
    """The picture or clip as it was saved, with its recipe inside. Players may ask for a part (Range)."""
    return _file(studio.image(image).path, "attachment" if download else "inline")


@router.get("/images/{image}/thumbnail", response_class=FileResponse, responses=JPEG)
def thumbnail(studio: StudioDep, image: str) -> FileResponse:
    """A small JPEG of the picture, of a clip its first frame."""
    return FileResponse(studio.thumbnail(image), media_type="image/jpeg", headers=KEPT)


@router.post("/uploads", status_code=201, response_model=shapes.Upload, openapi_extra=PICTURE_BODY)
async def upload(studio: StudioDep, request: Request) -> Reply:
    """Checks and keeps a PNG, JPEG or WebP picture for jobs to start from."""
    data = await read_picture(request)
    kept = await run_in_threadpool(studio.put_blob, data)
    return Reply(kept.as_json(), 201)


@router.get("/uploads/{upload}", response_class=FileResponse, responses=PICTURE)
def uploaded(studio: StudioDep, upload: str) -> FileResponse:
    return _file(studio.blob_path(upload), "inline")


@router.post("/recipe", response_model=shapes.Recipe, openapi_extra=PICTURE_BODY)
async def recipe(studio: StudioDep, request: Request) -> Reply:
    """Reads how a picture or a clip was made from what Safelight or A1111 wrote into it."""
    data = await read_picture(request)
    return Reply(await run_in_threadpool(studio.recipe, data))


def _file(path: Path, disposition: str) -> FileResponse:
    """A picture's or a clip's file. Its bytes never change, so browsers may keep it; as a page of its own it may do nothing."""
    try:
        with path.open("rb") as file:
            kind = media.kind_of(file.read(media.HEAD))
    except OSError:
        raise HTTPException(404, "The file of this picture is no longer there.") from None
    if kind is None:
        raise HTTPException(404, "The file of this picture is no picture any more.")
    headers = {**KEPT, "Content-Security-Policy": "default-src 'none'; sandbox"}
    name = Path(path.name).with_suffix("." + kind.partition("/")[2]).name
    return FileResponse(path, media_type=kind, filename=name, content_disposition_type=disposition, headers=headers)
