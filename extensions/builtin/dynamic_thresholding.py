"""Dynamic thresholding: strong guidance without burnt colours, with the contrast that a weaker one would have.

Papers: Imagen (Saharia et al. 2022), https://arxiv.org/abs/2205.11487; the weaker guidance as measure is McMonkey's
(https://github.com/mcmonkeyprojects/sd-dynamic-thresholding).
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


class ThresholdParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mimic_scale: float = Field(7.0, ge=0, le=30, title="Mimic scale", description="The guidance whose contrast the picture has.")
    threshold_percentile: float = Field(
        1.0, ge=0.9, le=1, title="Percentile", description="What lies beyond this part of the values is cut; 1 cuts nothing."
    )
    separate_feature_channels: bool = Field(True, title="Each channel by itself", description="Else all channels have one range.")


class DynamicThresholding(Modifier):
    name = "dynamic_thresholding"
    title = "Dynamic thresholding"
    Params = ThresholdParams
    order = 23

    def replan(self, stages: "Stages", request: "Request", params: ThresholdParams, components: "Components") -> "Stages":
        from pipelines.guidance import Threshold  # imports torch
        from pipelines.plan import guided_by

        return guided_by(stages, Threshold(params.mimic_scale, params.threshold_percentile, params.separate_feature_channels))


@hookimpl
def modifiers() -> Iterable[Modifier]:
    return [DynamicThresholding()]
