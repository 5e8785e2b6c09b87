"""Control: what there is to steer with, and what a preprocessor makes of a picture."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from pipelines.control.sizes import ResizeMode
from pipelines.parameters import BlobId

from . import shapes
from .deps import StudioDep
from .replies import Reply
from .shapes import Shape

router = APIRouter(tags=["control"])


class PreprocessorParameter(Shape):
    name: str
    title: str
    description: str
    default: float
    low: float
    high: float
    step: float


class NetworkShape(Shape):
    name: str
    title: str


class MissingNetwork(Shape):
    sentence: str = Field(description="What to put where.")
    example: str = Field(description="A repository of the Hugging Face Hub that does, for `/downloads`.")


class PreprocessorShape(Shape):
    name: str
    title: str
    description: str
    steering: Literal["model", "layout", "attention"] = Field(
        description="By a ControlNet alone; by one, or else by the picture's coarse layout; by attention to the picture, without a model."
    )
    suits: list[str] = Field(description="Words in the names of ControlNets that were trained on such pictures.")
    changes: bool = Field(description="Whether anything is made of the picture.")
    sized: bool = Field(description="Whether the resolution at which it works makes a difference.")
    networks: list[NetworkShape] = Field(description="The models that it can be made with, where it takes one.")
    missing: MissingNetwork | None = Field(description="There where it takes a model and has none.")
    parameters: list[PreprocessorParameter]


class ControlNetShape(Shape):
    name: str
    title: str
    family: str | None
    family_title: str | None
    broken: str | None = Field(description="Why it cannot be used, in one sentence.")
    misfit: str | None = Field(description="Why it does not go with the checkpoint that was asked about, in one sentence.")


class SegmentationColour(Shape):
    name: str
    colour: str


class ControlOffer(Shape):
    preprocessors: list[PreprocessorShape]
    controlnets: list[ControlNetShape]
    segmentation: list[SegmentationColour] = Field(description="ADE20K's classes and their colours in segmentation maps.")


class PreviewQuestion(Shape):
    image: BlobId = Field(description="The id of an upload.")
    preprocessor: str = Field("none", max_length=100)
    parameters: dict[str, float] = Field({}, description="By name; others keep their defaults.")
    width: int = Field(512, ge=8, le=2048)
    height: int = Field(512, ge=8, le=2048)
    resize_mode: ResizeMode = "crop"
    resolution: int | None = Field(None, ge=64, le=2048, description="Of the shorter side; null is pixel perfect.")
    network: str = Field("", max_length=500, description="The model that makes the map, where it takes one; empty: the first.")


@router.get("/control", response_model=ControlOffer)
def offered(studio: StudioDep, checkpoint: Annotated[str, Query(max_length=500)] = "") -> Reply:
    """Preprocessors, ControlNets, and the colours of segmentation maps; with a checkpoint, which ControlNets go with that."""
    return Reply(studio.control.offered(checkpoint))


@router.post("/control/preview", status_code=201, response_model=shapes.Upload)
async def preview(studio: StudioDep, asked: PreviewQuestion) -> Reply:
    """Makes what would steer of an upload, and keeps it as an upload, whose id `/uploads/{id}` shows."""
    size = (asked.width, asked.height)
    told: tuple[Any, ...] = (asked.image, asked.preprocessor, asked.parameters, size, asked.resize_mode, asked.resolution, asked.network)
    return Reply((await run_in_threadpool(studio.control.preview, *told)).as_json(), 201)
