"""What the engine holds in memory: read a checkpoint before a job asks for it, let go of one."""

from fastapi import APIRouter

from jobs.studio import Studio

from . import model_shapes as shapes
from .deps import StudioDep
from .owner import OWNER_ONLY
from .replies import Reply

router = APIRouter(tags=["models"], dependencies=[OWNER_ONLY])


@router.post("/models/load", status_code=202, response_model=shapes.InMemory)
def load(studio: StudioDep, wanted: shapes.ToLoad) -> Reply:
    """Has the checkpoint read as soon as no job is at work; `health` tells when it is there."""
    studio.load(wanted.checkpoint, wanted.vae)
    return Reply(_memory(studio), 202)


@router.post("/models/unload", status_code=202, response_model=shapes.InMemory)
def unload(studio: StudioDep, unwanted: shapes.ToUnload) -> Reply:
    """Has the engine let go of the checkpoint, unless a job is using it."""
    studio.unload(unwanted.checkpoint)
    return Reply(_memory(studio), 202)


def _memory(studio: Studio) -> dict[str, object]:
    health = studio.health()
    return {"loaded": health["loaded"], "memory_bytes": health["memory_bytes"]}
