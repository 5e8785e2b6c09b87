"""Guidance rescale: keeps strong guidance from burning colours, by bringing its output back to the prompt's own spread.

Paper: Common Diffusion Noise Schedules and Sample Steps are Flawed (Lin et al. 2023), https://arxiv.org/abs/2305.08891
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from extensions.hookspecs import hookimpl
from pipelines.modifiers import Modifier

if TYPE_CHECKING:
    from pipelines.components import Components
    from pipelines.plan import Stages
    from pipelines.request import Request


class RescaleParams(BaseModel):
    """diffusers' parameter of that name."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    guidance_rescale: float = Field(0.7, ge=0, le=1, title="Rescale", description="How far; the paper takes 0.7, 0 changes nothing.")


class GuidanceRescale(Modifier):
    name = "guidance_rescale"
    title = "Guidance rescale"
    Params = RescaleParams
    order = 24  # what the other variants have made is rescaled, in all passes

    def replan(self, stages: "Stages", request: "Request", params: RescaleParams, components: "Components") -> "Stages":
        from pipelines.guidance import Rescale  # imports torch
        from pipelines.plan import guided_by

        return guided_by(stages, Rescale(params.guidance_rescale)) if params.guidance_rescale else stages


@hookimpl
def modifiers() -> Iterable[Modifier]:
    return [GuidanceRescale()]
