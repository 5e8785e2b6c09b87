"""What the studio has: models, schedulers, and how it feels."""

from fastapi import APIRouter

from . import shapes
from .deps import StudioDep
from .replies import Reply

router = APIRouter(tags=["studio"])


@router.get("/models", response_model=shapes.Models)
def models(studio: StudioDep) -> Reply:
    """Checkpoints and VAEs as they lie in the folders now."""
    return Reply(studio.models())


@router.get("/schedulers", response_model=shapes.Schedulers)
def schedulers(studio: StudioDep) -> Reply:
    """Schedulers, and the schedules that go with each."""
    return Reply(studio.schedulers())


@router.get("/health", response_model=shapes.Health)
def health(studio: StudioDep) -> Reply:
    """Whether the engine is up, on which device, with what in memory."""
    return Reply(studio.health())
