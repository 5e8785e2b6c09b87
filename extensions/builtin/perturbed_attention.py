"""Perturbed attention guidance: away from a picture whose parts do not see each other, so that shapes come out whole.

Paper: Self-Rectifying Diffusion Sampling with Perturbed-Attention Guidance (Ahn et al. 2024), https://arxiv.org/abs/2403.17377
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from extensions.hookspecs import hookimpl
from pipelines.modifiers import Modifier

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.catalog import Catalog
    from pipelines.components import Components
    from pipelines.denoise import Predict
    from pipelines.modifiers import Around, Prediction
    from pipelines.plan import Stages
    from pipelines.request import Request


class PerturbedParams(BaseModel):
    """diffusers' parameters of these names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    pag_scale: float = Field(3.0, ge=0, le=15, title="Scale", description="How far away; each step takes one more row.")
    pag_adaptive_scale: float = Field(
        0.0, ge=0, le=0.1, title="Fading", description="What the scale loses with each of the thousand timesteps; 0 keeps it."
    )
    pag_applied_layers: Literal["mid", "down", "up", "all"] = Field(
        "mid", title="Part", description="Where in the UNet; the paper takes the middle."
    )


class PerturbedAttention(Modifier):
    name = "pag"
    title = "Perturbed attention"
    Params = PerturbedParams
    denoisers = frozenset({"UNet2DConditionModel"})
    order = 22

    def replan(self, stages: "Stages", request: "Request", params: PerturbedParams, components: "Components") -> "Stages":
        """One more row in every step. Raises `InvalidRequest` for a checkpoint without such attention."""
        from pipelines.guidance import Perturb  # imports torch
        from pipelines.perturbed import layers_of
        from pipelines.plan import guided_by

        if not params.pag_scale:
            return stages
        layers_of(components.denoiser, params.pag_applied_layers)
        return guided_by(stages, Perturb(params.pag_scale, params.pag_adaptive_scale))

    def around(
        self, components: "Components", params: PerturbedParams, catalog: "Catalog", blobs: Callable[[str], bytes]
    ) -> AbstractContextManager["Around | None"]:
        """The attention of the rows that are marked so is perturbed while they are predicted, and of no others."""
        from pipelines.perturbed import perturbing  # imports torch

        def wrapped(predict: "Prediction") -> "Prediction":
            def predicted(asked: "Predict", components: "Components") -> "Tensor":
                marked = [row.perturbed for row in asked.rows]
                if not any(marked):
                    return predict(asked, components)
                with perturbing(components.denoiser, params.pag_applied_layers, marked):
                    return predict(asked, components)

            return predicted

        return nullcontext(wrapped)


@hookimpl
def modifiers() -> Iterable[Modifier]:
    return [PerturbedAttention()]
