"""What may change a run besides its request's own fields: FreeU, a LoRA, a ControlNet."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from .errors import InvalidRequest, UnknownName, printable, shortened
from .prompts.extras import extras

if TYPE_CHECKING:
    from .catalog import Catalog
    from .components import Components
    from .plan import Stages
    from .request import Request


LORA = "lora"


class Modifier:
    """Changes the model, or the plan, for the runs that ask for it; a subclass says what it is and does either or both.

    Runs are batched only with runs whose modifiers and parameters are the same. A module that offers a modifier
    imports torch only where it runs: the page reads `Params` without it.
    """

    name: str
    title: str
    Params: type[BaseModel]
    order: int = 0
    """Of several, the one with the lower number changes the plan first: a second pass follows what was split before."""
    shown: bool = True
    """Whether the page has a switch for it; what is asked for in prompts needs none."""

    def check(self, params: Any, catalog: "Catalog") -> None:
        """Raises `StudioError` for parameters that name what is not there; called without torch before a job is queued."""

    def modify(self, components: "Components", params: Any, catalog: "Catalog") -> AbstractContextManager[None]:
        """Inside the context the change is in force; on leaving it, also by an exception, every component is as it was."""
        return nullcontext()

    def replan(self, stages: "Stages", request: "Request", params: Any, components: "Components") -> "Stages":
        """The stages of a picture with this modifier: some added, split or told something else. Raises `InvalidRequest`."""
        return stages


def asked(request: "Request") -> dict[str, dict[str, Any]]:
    """What a request asks for: its `modifiers`, and the LoRAs that its prompts name."""
    wanted = {name: dict(params) for name, params in request.modifiers.items()}
    texts = (request.prompt, request.prompt_2)
    named = [network for text in texts for network in extras(text, request.prompt_syntax)[1] if network.kind == LORA]
    if named:
        loras = [{"name": each.name, "weight": each.weight, "text_weight": each.text_weight} for each in named]
        given = wanted.get(LORA, {}).get("loras", ())
        wanted[LORA] = {**wanted.get(LORA, {}), "loras": [*(given if isinstance(given, (list, tuple)) else ()), *loras]}
    return wanted


def check(asked: Mapping[str, Mapping[str, Any]], known: Mapping[str, Modifier]) -> dict[str, BaseModel]:
    """The parameters of each modifier that is asked for, validated by its own model, in the order of their turn."""
    parsed: dict[str, BaseModel] = {}
    for name in asked:
        if name not in known:
            raise UnknownName("modifier", name, known, "modifiers")
    for name in sorted(asked, key=lambda name: known[name].order):
        try:
            parsed[name] = known[name].Params.model_validate(dict(asked[name]))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = printable(".".join(("modifiers", name, *(str(part)[:80] for part in first["loc"]))))
            raise InvalidRequest(f"{where}: {first['msg']}; got {shortened(first.get('input'))}.", "modifiers") from None
    return parsed
