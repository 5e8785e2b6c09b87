"""Hires fix: the picture is made at its size, enlarged, and developed further at the larger size.

A model asked for more pixels than it was trained on repeats its subject; here it lays out the picture at the size it knows.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from extensions.hookspecs import hookimpl
from pipelines.errors import InvalidRequest
from pipelines.modifiers import Modifier
from pipelines.names import AUTOMATIC, needs_negative
from pipelines.parameters import LONGEST_PROMPT, unset
from pipelines.upscalers import UPSCALERS, UpscalerShelf

if TYPE_CHECKING:
    from pipelines.catalog import Catalog
    from pipelines.components import Components
    from pipelines.plan import Denoise, Stages
    from pipelines.request import Request

GRID = 8  # pixels that width and height are multiples of
LONGEST = 4096


class HiresParams(BaseModel):
    """The second pass. What is 0 or empty is as in the first; strength and steps are diffusers': so much of so many steps is run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    upscaler: str = Field(
        "lanczos",
        max_length=500,
        title="Upscaler",
        description="Enlarges the picture, or the latents, in between.",
        json_schema_extra={"choices": "upscalers"},
    )
    scale: float = Field(2.0, ge=1, le=4, title="Scale", description="How much larger both sides become.")
    width: int = Field(
        0, ge=0, le=LONGEST, multiple_of=GRID, title="Width", description="In pixels, instead of the scale; 0 follows it.",
        json_schema_extra=unset(0, "by the scale"),
    )  # fmt: skip
    height: int = Field(
        0, ge=0, le=LONGEST, multiple_of=GRID, title="Height", description="In pixels, instead of the scale; 0 follows it.",
        json_schema_extra=unset(0, "by the scale"),
    )  # fmt: skip
    strength: float = Field(
        0.4,  # a picture enlarged by a filter needs little, and more costs its layout
        gt=0,
        le=1,
        title="Strength",
        description="How far the second pass may leave the enlarged picture; latent upscalers stay blurred below 0.5.",
    )
    num_inference_steps: int = Field(
        0, ge=0, le=150, title="Steps", description="Of the second pass; 0: as many as the first.", json_schema_extra=unset(0, "the same")
    )
    scheduler: str = Field(
        "", max_length=200, title="Scheduler", description="Of the second pass.", json_schema_extra={"choices": "schedulers"}
    )
    schedule: str = Field(
        "", max_length=200, title="Schedule", description="Of the second pass.", json_schema_extra={"choices": "schedules"}
    )
    guidance_scale: float = Field(
        0.0, ge=0, le=30, title="Guidance", description="Of the second pass; 0: the same.", json_schema_extra=unset(0, "the same")
    )
    prompt: str = Field("", max_length=LONGEST_PROMPT, title="Prompt", description="For the second pass; empty: the same.")
    negative_prompt: str = Field(
        "", max_length=LONGEST_PROMPT, title="Negative prompt", description="For the second pass; empty: the same."
    )

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the second pass over a picture of width × height, multiples of 8.

        One side given alone keeps the proportions. Raises `InvalidRequest` for a size that is smaller, or too large.
        """
        across, down = self.width / width, self.height / height
        factor = across or down or self.scale
        found = tuple(given or _on_grid(side * factor) for given, side in ((self.width, width), (self.height, height)))
        if found[0] < width or found[1] < height:
            raise InvalidRequest(f"hires would make {width} × {height} smaller: {found[0]} × {found[1]}.", "modifiers")
        if max(found) > LONGEST:
            raise InvalidRequest(
                f"hires would make {width} × {height} into {found[0]} × {found[1]}; at most {LONGEST} a side can be made.",
                "modifiers",
            )
        return found[0], found[1]

    def steps(self, first_pass: int) -> tuple[int, int]:
        """(steps of the schedule, how many of them are run) of the second pass; raises `InvalidRequest` where none is left."""
        steps = self.num_inference_steps or first_pass
        run = min(int(steps * self.strength), steps)
        if run < 1:
            raise InvalidRequest(
                f"hires strength {self.strength:g} of {steps} steps leaves no step to run; at least {1 / steps:.2g} does.",
                "modifiers",
            )
        return steps, run


def _on_grid(side: float) -> int:
    return max(GRID, round(side / GRID) * GRID)


class Hires(Modifier):
    name = "hires"
    title = "Hires fix"
    Params = HiresParams
    tasks = frozenset({"txt2img", "img2img"})
    order = 10  # behind a refiner, whose pass is of the first size

    def modify(self, components: "Components", params: HiresParams, catalog: "Catalog") -> AbstractContextManager[None]:
        """Changes nothing; but an upscaler that cannot be used is told of before the first pass, not after it."""
        if params.upscaler not in UPSCALERS:
            UpscalerShelf(catalog.roots).find(params.upscaler)
        return nullcontext()

    def replan(self, stages: "Stages", request: "Request", params: HiresParams, components: "Components") -> "Stages":
        """Before the picture is decoded: enlarged, and denoised once more from its latents with fresh noise."""
        from pipelines.plan import Decode, Denoise, EncodePrompt, Enlarge  # imports torch

        if request.takes_mask:
            raise InvalidRequest(f"hires does not go with {request.task}: what lies outside the mask would be lost.", "modifiers")
        width, height = params.size(request.width, request.height)
        first = next(stage for stage in reversed(stages) if isinstance(stage, Denoise) and not stage.model)
        second = _second(first, params, (width, height), components)
        told = next(stage for stage in reversed(stages) if isinstance(stage, EncodePrompt) and stage.model == first.model)
        retold = replace(
            told,
            prompts=(params.prompt,) if params.prompt else told.prompts,
            negative_prompts=(params.negative_prompt,) if params.negative_prompt else told.negative_prompts,
            guided=second.guidance_scale > 1 or needs_negative(second.scheduler),
            steps=second.steps_run,
            steps_before=first.steps_run,
            width=width,
            height=height,
        )
        before, after = [], []
        for stage in stages:
            (after if isinstance(stage, Decode) else before).append(stage)
        return (*before, retold, Enlarge(params.upscaler, width, height), second, *after)


def _second(first: "Denoise", params: HiresParams, size: tuple[int, int], components: "Components") -> "Denoise":
    multiple, scale = components.size_multiple, components.vae_scale_factor
    if size[0] % multiple or size[1] % multiple:
        raise InvalidRequest(f"hires makes {size[0]} × {size[1]}, but this checkpoint needs multiples of {multiple}.", "modifiers")
    steps, run = params.steps(first.steps)
    same = params.scheduler in ("", first.scheduler)
    return replace(
        first,
        scheduler=params.scheduler or first.scheduler,
        schedule=params.schedule or (first.schedule if same else AUTOMATIC),  # another scheduler may not know the first one's
        steps=steps,
        first=steps - run,
        last=steps,
        guidance_scale=params.guidance_scale or first.guidance_scale,
        shape=(first.shape[0], size[1] // scale, size[0] // scale),
        start="latents",
    )


@hookimpl
def modifiers() -> Iterable[Modifier]:
    return [Hires()]
