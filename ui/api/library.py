"""The library: every model of every kind, its preview, and what the owner notes about it."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import FileResponse

from . import model_shapes as shapes
from .deps import StudioDep
from .owner import OWNER_ONLY, IsOwner
from .replies import Reply

router = APIRouter(tags=["models"])

# Names have slashes in them: what follows the name is told apart by its last part.
NAMED = "/library/{kind}/{name:path}"
OWNERS = ("path", "source")
JPEG = {200: {"content": {"image/jpeg": {}}}}


@router.get("/library", response_model=shapes.Library)
def listed(studio: StudioDep, owner: IsOwner, kind: str | None = None) -> Reply:
    """All models there are, or those of one kind, as they lie in the folders now."""
    found = studio.collection.listed(kind)
    return Reply({**found, "models": [_shown(model, owner) for model in found["models"]], "managing": owner})


@router.get(f"{NAMED}/preview", response_class=FileResponse, responses=JPEG)
def preview(studio: StudioDep, kind: str, name: str) -> FileResponse:
    """A small JPEG of the picture beside the model, or of the one that was chosen."""
    path = studio.collection.preview(kind, name)
    return FileResponse(path, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=31536000, immutable"})


@router.put(f"{NAMED}/preview", response_model=shapes.Model, dependencies=[OWNER_ONLY])
def set_preview(studio: StudioDep, kind: str, name: str, chosen: shapes.PreviewOf) -> Reply:
    """Makes a small copy of a picture the model's preview."""
    data = studio.picture(chosen.image)
    return Reply(studio.collection.set_preview(kind, name, data))


@router.delete(f"{NAMED}/preview", response_model=shapes.Model, dependencies=[OWNER_ONLY])
def drop_preview(studio: StudioDep, kind: str, name: str) -> Reply:
    """Takes the chosen preview away; a picture that lay beside the model before shows again."""
    return Reply(studio.collection.set_preview(kind, name, None))


@router.put(f"{NAMED}/notes", response_model=shapes.Model, dependencies=[OWNER_ONLY])
def annotate(studio: StudioDep, kind: str, name: str, changes: shapes.Notes) -> Reply:
    """Notes, and a checkpoint's default VAE and dtype."""
    return Reply(studio.collection.annotate(kind, name, changes.model_dump(exclude_none=True)))


@router.get(NAMED, response_model=shapes.Model)
def one(studio: StudioDep, owner: IsOwner, kind: str, name: str) -> Reply:
    """One model; its hash is computed next if it is not known yet."""
    return Reply(_shown(studio.collection.one(kind, name), owner))


def _shown(model: dict[str, Any], owner: bool) -> dict[str, Any]:
    return model if owner else {**model, **dict.fromkeys(OWNERS)}
