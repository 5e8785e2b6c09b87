"""Prompts: how they are read, the names they may hold, styles, and one prompt that asks for many pictures."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from jobs.studio import Studio
from pipelines.parameters import LONGEST_PROMPT
from pipelines.prompts.styles import Style
from pipelines.prompts.tree import Syntax

from . import shapes
from .deps import StudioDep
from .inputs import keep_pictures
from .owner import OWNER_ONLY
from .replies import Reply
from .shapes import Shape

router = APIRouter(tags=["prompts"])
Words = Field("", max_length=LONGEST_PROMPT)


class Question(Shape):
    text: str = Words
    checkpoint: str = Field("", max_length=500, description='Whose tokens to count; "" is the default one.')
    num_inference_steps: int = Field(20, ge=1, le=150)
    prompt_syntax: Syntax = "a1111"
    negative: bool = False
    seed: int = Field(-1, ge=-1, lt=2**32, description="Chooses the words of wildcards; -1 tries several.")


class Styled(Shape):
    prompt: str = Words
    negative_prompt: str = Words
    styles: list[str] = Field([], max_length=100)


class KeptStyle(Shape):
    name: str = Field(max_length=1000)
    prompt: str = Words
    negative_prompt: str = Words


class Batch(Shape):
    request: dict[str, Any] = Field(description="A job, as `POST /jobs` takes it.")
    matrix: bool = Field(False, description="Whether each combination of what stands between | in the prompt is a job of its own.")
    lines: str = Field(
        "", max_length=10 * LONGEST_PROMPT, description='Prompts, one a line, or A1111\'s options (--prompt "a cat" --steps 20).'
    )
    images: list[str | dict[str, str]] = Field(
        [], max_length=1000, description="Pictures to start from, as `image` takes them: each is a job of its own, in its own size."
    )


class Batched(Shape):
    jobs: list[shapes.Job]


@router.post("/prompt")
async def read(studio: StudioDep, asked: Question) -> Reply:
    """How a prompt is read: tokens and chunks, weights, what holds in which steps, networks, what is amiss. Positions are
    in the text as sent."""
    told = (asked.text, asked.checkpoint, asked.num_inference_steps, asked.prompt_syntax, asked.negative, asked.seed)
    return Reply(await run_in_threadpool(studio.prompting.analysed, *told))


@router.get("/words")
def words(studio: StudioDep) -> Reply:
    """The LoRAs, embeddings, wildcards and styles that there are now."""
    return Reply(studio.prompting.words())


@router.post("/styles/apply")
def apply(studio: StudioDep, asked: Styled) -> Reply:
    """Both prompts with styles put around them."""
    return Reply(studio.prompting.styled(asked.prompt, asked.negative_prompt, asked.styles))


@router.put("/styles", dependencies=[OWNER_ONLY])
def keep(studio: StudioDep, style: KeptStyle) -> Reply:
    """Keeps a style, in the place of one of the same name."""
    studio.prompting.keep_style(Style(style.name, style.prompt, style.negative_prompt))
    return Reply(studio.prompting.words())


@router.delete("/styles/{name}", dependencies=[OWNER_ONLY])
def drop(studio: StudioDep, name: str) -> Reply:
    studio.prompting.drop_style(name)
    return Reply(studio.prompting.words())


@router.post("/batches", status_code=201, response_model=Batched)
async def many(studio: StudioDep, asked: Batch) -> Reply:
    """Asks for many jobs at once: all are queued, or none. Each picture of a prompt with wildcards is a job with its own words."""
    jobs = await run_in_threadpool(_many, studio, asked)
    return Reply({"jobs": jobs}, 201)


@router.get("/grid", response_class=Response, responses={200: {"content": {"image/png": {}}}})
def grid(studio: StudioDep, image: Annotated[list[str], Query(max_length=256)], download: bool = False) -> Response:
    """The pictures named, on one sheet with the words in which their prompts differ; those of a matrix along two axes."""
    disposition = "attachment" if download else "inline"
    headers = {"Content-Disposition": f'{disposition}; filename="grid.png"', "Cache-Control": "private, max-age=3600"}
    return Response(studio.grid(image), media_type="image/png", headers=headers)


def _many(studio: Studio, asked: Batch) -> list[dict[str, Any]]:
    draft = keep_pictures(studio, asked.request)
    images = [str(keep_pictures(studio, {"task": draft.get("task"), "image": image}).get("image")) for image in asked.images]
    return [job.as_json() for job in studio.submit_many(draft, asked.matrix, asked.lines, images)]
