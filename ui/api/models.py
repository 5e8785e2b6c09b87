"""What the engine holds in memory: read a checkpoint before a job asks for it, let go of one; and pickles made into safetensors."""

from fastapi import APIRouter

from . import model_shapes as shapes
from .deps import StudioDep
from .owner import OWNER_ONLY
from .replies import Reply

router = APIRouter(tags=["models"], dependencies=[OWNER_ONLY])


@router.post("/models/load", status_code=202, response_model=shapes.InMemory)
def load(studio: StudioDep, wanted: shapes.ToLoad) -> Reply:
    """Has the checkpoint read as soon as no job is at work; `health` tells when it is there, or why it could not be read."""
    studio.memory.load(wanted.checkpoint, wanted.vae)
    return Reply(studio.memory.told(), 202)


@router.post("/models/unload", status_code=202, response_model=shapes.InMemory)
def unload(studio: StudioDep, unwanted: shapes.ToUnload) -> Reply:
    """Has the engine let go of the checkpoint, unless a job is using it."""
    studio.memory.unload(unwanted.checkpoint)
    return Reply(studio.memory.told(), 202)


@router.post("/models/convert", status_code=202, response_model=shapes.Conversion)
def convert(studio: StudioDep, wanted: shapes.ToConvert) -> Reply:
    """Makes safetensors of a pickle, beside it, in a process of its own that may do little."""
    return Reply(studio.conversions.begin(wanted.kind, wanted.name), 202)


@router.get("/models/conversions", response_model=shapes.Conversions)
def conversions(studio: StudioDep) -> Reply:
    return Reply({"conversions": studio.conversions.all()})
