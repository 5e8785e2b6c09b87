"""What may change a run besides its request's own fields: FreeU, a LoRA, a ControlNet."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from .errors import InvalidRequest, UnknownName, printable, shortened
from .prompts.extras import extras

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor

    from .catalog import Catalog, ModelInfo
    from .components import Components
    from .denoise import Predict
    from .plan import Stages
    from .request import Request


LORA = "lora"

Prediction = Callable[["Predict", "Components"], "Tensor"]
"""The model's output for all rows of a question, (b, c, h, w)."""
Around = Callable[[Prediction], Prediction]
"""A prediction made from another: with something added before it, beside it or to its output."""


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
    mounted: bool = False
    """Whether the page's script has a module of its own for its settings, mounted under its name."""
    tasks: frozenset[str] | None = None
    """The tasks that it goes with; None: all that take modifiers."""
    denoisers: frozenset[str] | None = None
    """diffusers' classes of denoisers that it goes with; None: all."""

    def misfit(self, checkpoint: "ModelInfo", others: "Iterable[ModelInfo]") -> str:
        """Why it can do nothing for a checkpoint, in one sentence; "" where it can. From what the catalog lists of it and of the
        `others`, free of torch: the page leaves away what does not fit, and a job that asks for it is refused."""
        if self.denoisers is None or checkpoint.traits.denoiser in self.denoisers:
            return ""
        known, found = " or ".join(sorted(self.denoisers)), checkpoint.traits.denoiser or "none"
        return f"{self.title} goes with a denoiser that is a {known}, and that of {checkpoint.title} is {found}."

    def idle(self, checkpoint: "ModelInfo", others: "Iterable[ModelInfo]") -> Mapping[str, str]:
        """The fields of `Params` that have no effect on a checkpoint that it fits, and why, each in one sentence."""
        return {}

    def check(self, params: Any, catalog: "Catalog", checkpoint: str) -> None:
        """Raises `StudioError` for parameters that name what is not there or does not go with the checkpoint; called without torch
        before a job is queued."""

    def kept_bytes(self) -> int:
        """What the models take that it keeps for the next job; asked from any thread, in the engine's process."""
        return 0

    def spare(self) -> bool:
        """Lets go of those, for want of memory; False if there were none."""
        return False

    def pictures(self, params: Any) -> Sequence[str]:
        """The pictures that it needs, as ids of blobs; they are looked for before a job is queued."""
        return ()

    def draw(
        self, params: Any, size: tuple[int, int], device: "torch.device", catalog: "Catalog", blobs: Callable[[str], bytes]
    ) -> "Image":
        """What it makes of its pictures before a job is sent, RGB of `size` (width, height), to be looked at; in the engine's process.
        Raises `StudioError`."""
        raise InvalidRequest(f"{self.title} has nothing to show.", "modifiers")

    def modify(self, components: "Components", params: Any, catalog: "Catalog") -> AbstractContextManager[Sequence[str] | None]:
        """Inside the context the change is in force; on leaving it, also by an exception, every component is as it was. What it gives
        are sentences for the user, if there is something to be said."""
        return nullcontext()

    def around(
        self, components: "Components", params: Any, catalog: "Catalog", blobs: Callable[[str], bytes]
    ) -> AbstractContextManager[Around | None]:
        """What is put around every prediction while the context lasts, of several the later in `order` outside; `blobs` gives the
        bytes of a picture by its id. Also called for questions to other models (`Predict.model`). Raises `StudioError`."""
        return nullcontext(None)

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
            rule = first["msg"].removeprefix("Value error, ")
            if first["type"] == "extra_forbidden":
                rule = f"is no setting of it; its settings are: {', '.join(known[name].Params.model_fields) or 'none'}"
            raise InvalidRequest(f"{where}: {rule}; got {shortened(first.get('input'))}.", "modifiers") from None
    return parsed


def idle(known: Mapping[str, Modifier], checkpoint: "ModelInfo", others: "Iterable[ModelInfo]") -> dict[str, str]:
    """The modifiers that do not fit a checkpoint and the settings that have no effect on it, each with a sentence that says why, under
    "modifiers.NAME" and "modifiers.NAME.FIELD"."""
    found = {}
    for name, modifier in known.items():
        if why := modifier.misfit(checkpoint, others):
            found[f"modifiers.{name}"] = why
        else:
            found |= {f"modifiers.{name}.{field}": said for field, said in modifier.idle(checkpoint, others).items()}
    return found


def require_fit(modifier: Modifier, request: "Request", checkpoint: "ModelInfo", catalog: "Catalog") -> None:
    """Raises `InvalidRequest` for a modifier that does not go with the task or with the checkpoint."""
    if modifier.tasks is not None and request.task not in modifier.tasks:
        raise InvalidRequest(
            f"{modifier.title} does not go with {request.task}; it goes with {', '.join(sorted(modifier.tasks))}.", "modifiers"
        )
    if request.ability and (why := modifier.misfit(checkpoint, catalog.checkpoints())):
        raise InvalidRequest(why, "modifiers")
