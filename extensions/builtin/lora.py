"""LoRA and its kin: small files that teach a checkpoint a style, a figure or a thing.

Papers: LoRA (Hu et al. 2021), https://arxiv.org/abs/2106.09685; LyCORIS (Yeh et al. 2023), https://arxiv.org/abs/2309.14859
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from extensions.hookspecs import hookimpl
from pipelines.adapters import lora_info, shelf
from pipelines.modifiers import LORA, Modifier

if TYPE_CHECKING:
    from pipelines.catalog import Catalog
    from pipelines.components import Components


class LoraChoice(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=500, title="LoRA", description="The name of its file, as in a prompt's <lora:name:1>.")
    weight: float = Field(1.0, ge=-5.0, le=5.0, title="Weight", description="How strongly it acts; below 0 it does the opposite.")
    text_weight: float | None = Field(
        None, ge=-5.0, le=5.0, title="Weight for the text", description="For the text encoders; the same where it is not given."
    )


class LoraParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    loras: tuple[LoraChoice, ...] = Field((), max_length=16, title="LoRAs", description="All are in force at once.")


class Lora(Modifier):
    name = LORA
    title = "LoRA"
    Params = LoraParams
    shown = False  # prompts name them

    def check(self, params: LoraParams, catalog: "Catalog", checkpoint: str) -> None:
        for lora in params.loras:
            lora_info.read(shelf.find_lora(catalog.roots, lora.name))

    @contextmanager
    def modify(self, components: "Components", params: LoraParams, catalog: "Catalog") -> Iterator[tuple[str, ...]]:
        """Gives a sentence for each file of which something was left out."""
        from pipelines.adapters.lora import LoraUse, applied  # the page reads `Params` without torch

        uses = [LoraUse(shelf.find_lora(catalog.roots, lora.name), lora.weight, lora.text_weight) for lora in params.loras]
        with applied(components, uses) as report:
            yield report.notices


@hookimpl
def modifiers() -> Iterable[Modifier]:
    return [Lora()]
