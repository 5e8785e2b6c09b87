"""Refiner: a second checkpoint takes over for the last, fine steps.

Made for Stable Diffusion XL's refiner (Podell et al. 2023, https://arxiv.org/abs/2307.01952), as an ensemble of experts for high
and low noise; any checkpoint that knows the same latents can take over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from extensions.hookspecs import hookimpl
from pipelines.errors import InvalidRequest
from pipelines.modifiers import Modifier

if TYPE_CHECKING:
    from pipelines.catalog import Catalog, ModelInfo
    from pipelines.components import Components
    from pipelines.plan import Stages
    from pipelines.request import Request


class RefinerParams(BaseModel):
    """`switch_at` is diffusers' denoising_end of the first and denoising_start of the second; 1 leaves the refiner out."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    checkpoint: str = Field(
        "",
        max_length=500,
        title="Refiner",
        description="The checkpoint that takes over.",
        json_schema_extra={"choices": "continuing", "empty": "None"},
    )
    switch_at: float = Field(
        0.8, gt=0, le=1, title="Take over at", description="Which part of the way from noise to picture is behind it then; 1 is never."
    )
    aesthetic_score: float = Field(6.0, ge=1, le=10, title="Aesthetic score", description="What Stable Diffusion XL's refiner aims at.")
    negative_aesthetic_score: float = Field(2.5, ge=1, le=10, title="Negative score", description="What it keeps away from.")


class Refiner(Modifier):
    name = "refiner"
    title = "Refiner"
    Params = RefinerParams

    def misfit(self, checkpoint: "ModelInfo", others: "Iterable[ModelInfo]") -> str:
        """See `Modifier.misfit`: another must be here that knows the same latents, and nothing besides them."""
        if any(_continues(other, checkpoint) for other in others):
            return ""
        return f"{self.title} needs a second checkpoint that can take over from {checkpoint.title}, and none that is here can."

    def idle(self, checkpoint: "ModelInfo", others: "Iterable[ModelInfo]") -> Mapping[str, str]:
        """See `Modifier.idle`."""
        if any(other.traits.scored and _continues(other, checkpoint) for other in others):
            return {}
        why = "No checkpoint that could take over is told of it."
        return {"aesthetic_score": why, "negative_aesthetic_score": why}

    def check(self, params: RefinerParams, catalog: "Catalog", checkpoint: str) -> None:
        """Raises `InvalidRequest` where none is chosen, `UnknownName`, or `CheckpointError` for one that cannot be used."""
        if not params.checkpoint:
            raise InvalidRequest("Choose the checkpoint that takes over, or switch the refiner off.", "modifiers")
        first, then = catalog.checkpoint(checkpoint), catalog.checkpoint(params.checkpoint)
        if first.name != then.name and not _continues(then, first):
            raise InvalidRequest(f"checkpoint {then.name!r} cannot take over from {first.name!r}: it knows other latents.", "modifiers")

    def replan(self, stages: "Stages", request: "Request", params: RefinerParams, components: "Components") -> "Stages":
        """Behind the last pass of the checkpoint itself: one that continues it, told the same prompts by its own encoders."""
        from pipelines.plan import KNOWN_IN_LATENTS, Denoise, EncodePrompt  # imports torch

        if not params.checkpoint or params.checkpoint == request.checkpoint or params.switch_at == 1:
            return stages
        place = max(place for place, stage in enumerate(stages) if isinstance(stage, Denoise) and not stage.model)
        first, before = stages[place], stages[:place]
        assert isinstance(first, Denoise)
        if first.known not in (None, KNOWN_IN_LATENTS):
            raise InvalidRequest("refiner does not go with inpainting and editing checkpoints, whose extra channels it lacks.", "modifiers")
        if first.conditioned:
            raise InvalidRequest("refiner does not go with Stable Cascade, whose decoder is told what the prior made.", "modifiers")
        told = next(stage for stage in reversed(before) if isinstance(stage, EncodePrompt) and not stage.model)
        retold = replace(
            told,
            model=params.checkpoint,
            aesthetic_score=params.aesthetic_score,
            negative_aesthetic_score=params.negative_aesthetic_score,
        )
        then = replace(first, start="continued", model=params.checkpoint, since=params.switch_at)
        return (*before, retold, first, then, *stages[place + 1 :])


def _continues(then: "ModelInfo", first: "ModelInfo") -> bool:
    same = then.traits.latents == first.traits.latents != ""
    return same and then.name != first.name and then.broken is None


@hookimpl
def modifiers() -> Iterable[Modifier]:
    return [Refiner()]
