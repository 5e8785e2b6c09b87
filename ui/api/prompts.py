"""Prompts: how they are read, the names they may hold, styles, and one prompt that asks for many pictures."""

from typing import Any

from fastapi import APIRouter
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from jobs.studio import Studio
from pipelines.prompts.styles import Style
from pipelines.prompts.tree import Syntax
from pipelines.request import LONGEST_PROMPT

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


class Batched(Shape):
    jobs: list[shapes.Job]


@router.post("/prompt")
async def read(studio: StudioDep, asked: Question) -> Reply:
    """How a prompt is read: tokens and chunks, weights, what holds in which steps, networks, what is amiss. Positions are
    in the text as sent."""
    told = (asked.text, asked.checkpoint, asked.num_inference_steps, asked.prompt_syntax, asked.negative)
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


def _many(studio: Studio, asked: Batch) -> list[dict[str, Any]]:
    return [job.as_json() for job in studio.submit_many(keep_pictures(studio, asked.request), asked.matrix, asked.lines)]
