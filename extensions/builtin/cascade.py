"""The second half of Stable Cascade: how its decoder works out what the prior has laid out.

A request's steps and guidance are the prior's; without this modifier the decoder takes what its family recommends.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from extensions.hookspecs import hookimpl
from pipelines.errors import InvalidRequest
from pipelines.modifiers import Modifier

if TYPE_CHECKING:
    from pipelines.catalog import ModelInfo
    from pipelines.components import Components
    from pipelines.plan import Stage, Stages
    from pipelines.request import Request


class CascadeParams(BaseModel):
    """Of the decoder's pass alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    num_inference_steps: int = Field(10, ge=1, le=150, title="Steps", description="Of the decoder; it needs fewer than the prior.")
    guidance_scale: float = Field(
        1.0, ge=1, le=30, title="Guidance", description="Of the decoder; 1 switches it off, and little more is of use."
    )


class Cascade(Modifier):
    name = "cascade"
    title = "Stable Cascade decoder"
    Params = CascadeParams
    order = -10  # others go by what a pass is

    def misfit(self, checkpoint: "ModelInfo", others: "Iterable[ModelInfo]") -> str:
        """See `Modifier.misfit`."""
        return "" if checkpoint.traits.staged else f"{self.title} is a second denoiser, and {checkpoint.title} has only one."

    def replan(self, stages: "Stages", request: "Request", params: CascadeParams, components: "Components") -> "Stages":
        """The pass that is told another's latents, with these steps and this guidance, and its prompts told for them."""
        from pipelines.plan import Denoise, EncodePrompt  # imports torch

        place = next((place for place, stage in enumerate(stages) if isinstance(stage, Denoise) and stage.conditioned), None)
        if place is None:
            raise InvalidRequest(f"checkpoint {components.checkpoint!r} has no decoder of this kind; only Stable Cascade has.", "modifiers")
        steps, scale = params.num_inference_steps, params.guidance_scale
        made: list[Stage] = list(stages)
        for index in (place, place - 1):
            stage = made[index]
            if isinstance(stage, Denoise):
                made[index] = replace(stage, steps=steps, last=steps, guidance_scale=scale)
            elif isinstance(stage, EncodePrompt):
                made[index] = replace(stage, steps=steps, guided=scale > 1)
        return tuple(made)


@hookimpl
def modifiers() -> Iterable[Modifier]:
    return [Cascade()]
