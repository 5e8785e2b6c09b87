"""FreeU: re-weights the UNet's skip connections and backbone, for free.

Paper: FreeU: Free Lunch in Diffusion U-Net (Si et al. 2023), https://arxiv.org/abs/2309.11497
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from extensions.hookspecs import hookimpl
from pipelines.errors import InvalidRequest
from pipelines.modifiers import Modifier

if TYPE_CHECKING:
    from pipelines.catalog import Catalog
    from pipelines.components import Components


class FreeUParams(BaseModel):
    """The paper's four factors; its values for Stable Diffusion 1.x are the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    b1: float = Field(1.5, ge=0.5, le=2.0, title="Backbone, deepest", description="Above 1 strengthens what is drawn.")
    b2: float = Field(1.6, ge=0.5, le=2.0, title="Backbone, next", description="The same one level up.")
    s1: float = Field(0.9, ge=0.0, le=1.5, title="Skip, deepest", description="Below 1 quiets fine texture.")
    s2: float = Field(0.2, ge=0.0, le=1.5, title="Skip, next", description="The same one level up.")


class FreeU(Modifier):
    name = "freeu"
    title = "FreeU"
    Params = FreeUParams
    denoisers = frozenset({"UNet2DConditionModel"})

    @contextmanager
    def modify(self, components: "Components", params: FreeUParams, catalog: "Catalog") -> Iterator[None]:
        if not hasattr(components.denoiser, "enable_freeu"):
            raise InvalidRequest(f"freeu does not go with checkpoint {components.checkpoint!r} ({components.family.title}).", "modifiers")
        components.denoiser.enable_freeu(s1=params.s1, s2=params.s2, b1=params.b1, b2=params.b2)
        try:
            yield
        finally:
            components.denoiser.disable_freeu()


@hookimpl
def modifiers() -> Iterable[Modifier]:
    return [FreeU()]
