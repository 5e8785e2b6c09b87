"""Guidance interval: the negative prompt counts in a part of the steps only, and costs nothing in the others.

Paper: Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in Diffusion Models (Kynkäänniemi et al.
2024), https://arxiv.org/abs/2404.07724
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, model_validator

from extensions.hookspecs import hookimpl
from pipelines.modifiers import Modifier

if TYPE_CHECKING:
    from pipelines.components import Components
    from pipelines.plan import Stages
    from pipelines.request import Request


class IntervalParams(BaseModel):
    """Shares of a pass's steps; `begin` is A1111's "ignore negative prompt during early sampling"."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    begin: float = Field(0.2, ge=0, le=1, title="From", description="No guidance in this share of the steps; 0 has it from the first.")
    end: float = Field(0.8, ge=0, le=1, title="Until", description="No guidance behind this share of the steps; 1 has it to the last.")

    @model_validator(mode="after")
    def _a_beginning_and_an_end(self) -> "IntervalParams":
        if self.begin >= self.end:
            raise ValueError(f"begin must be below end, {self.end:g}; got {self.begin:g}")
        return self


class GuidanceInterval(Modifier):
    name = "guidance_interval"
    title = "Guidance interval"
    Params = IntervalParams
    order = 21

    def replan(self, stages: "Stages", request: "Request", params: IntervalParams, components: "Components") -> "Stages":
        from pipelines.guidance import Interval  # imports torch
        from pipelines.plan import guided_by

        return guided_by(stages, Interval(params.begin, params.end))


@hookimpl
def modifiers() -> Iterable[Modifier]:
    return [GuidanceInterval()]
