"""What may change a run besides its request's own fields: FreeU, a LoRA, a ControlNet."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ValidationError

from .errors import InvalidRequest, UnknownName, printable, shortened

if TYPE_CHECKING:
    from .components import Components


class Modifier(Protocol):
    """Changes the model for the runs that ask for it.

    Inside `modify`'s context the change is in force; on leaving it, also by an exception, every component is as it was.
    Runs are batched only with runs whose modifiers and parameters are the same. A module that offers a modifier
    imports torch only where it runs: the page reads `Params` without it.
    """

    name: str
    title: str
    Params: type[BaseModel]

    def modify(self, components: "Components", params: Any) -> AbstractContextManager[None]: ...


def check(asked: Mapping[str, Mapping[str, Any]], known: Mapping[str, Modifier]) -> dict[str, BaseModel]:
    """The parameters of each modifier that is asked for, validated by its own model."""
    parsed: dict[str, BaseModel] = {}
    for name, params in asked.items():
        if name not in known:
            raise UnknownName("modifier", name, known, "modifiers")
        try:
            parsed[name] = known[name].Params.model_validate(dict(params))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = printable(".".join(("modifiers", name, *(str(part)[:80] for part in first["loc"]))))
            raise InvalidRequest(f"{where}: {first['msg']}; got {shortened(first.get('input'))}.", "modifiers") from None
    return parsed
