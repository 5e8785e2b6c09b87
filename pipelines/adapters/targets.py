"""Which parameters of a loaded model a LoRA's modules are, whatever layout its names are of."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch

from ..families import keys, sd3_keys
from .changes import Change
from .naming import DENOISER, flat


class Target(NamedTuple):
    """A parameter that a file's module changes. `form` says how it lies there, as the tables of names have it: "0", "1" and "2"
    are the query, key and value of a module that holds all three, "swap" has its halves the other way round."""

    name: str
    parameter: torch.nn.Parameter
    form: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what the file changes."""
        rows, *others = self.parameter.shape
        return (3 * rows if self.form.isdigit() else rows, *others)

    def own(self, difference: torch.Tensor) -> torch.Tensor:
        """What a difference in the file's form, of `shape`, is for the parameter."""
        if self.form.isdigit():
            return difference.chunk(3)[int(self.form)]
        return torch.cat(difference.chunk(2)[::-1]) if self.form == "swap" else difference


# The original names of a class's weights, from its configuration.
_ORIGINAL: Mapping[str, Callable[[Mapping[str, Any]], Iterable[tuple[str, str]]]] = {
    "UNet2DConditionModel": keys.unet,
    "SD3Transformer2DModel": sd3_keys.transformer,
}
# What older versions of diffusers call some modules inside attention.
_FORMERLY = (("_q_proj", "_to_q"), ("_k_proj", "_to_k"), ("_v_proj", "_to_v"), ("_out_proj", "_to_out"), ("_to_out_0", "_to_out"))


class Targets:
    """The modules of a model by the names that files have for them."""

    def __init__(self, modules: Mapping[str, torch.nn.Module], denoiser: str) -> None:
        self._modules = modules
        self._denoiser = denoiser
        self._named = {component: dict(_names(module)) for component, module in modules.items()}

    def has(self, component: str) -> bool:
        return self._component(component) in self._modules

    def find(self, change: Change) -> list[Target]:
        """The parameters that `change` is for, whether it fits or not; none where the model has no such module."""
        component = self._component(change.component)
        found = []
        for path, form in self._named.get(component, {}).get(change.module, ()):
            parameter = getattr(self._modules[component].get_submodule(path), change.parameter, None)
            if isinstance(parameter, torch.nn.Parameter) and parameter.is_floating_point():
                found.append(Target(f"{component}.{path}.{change.parameter}", parameter, form))
        return found

    def _component(self, name: str) -> str:
        return self._denoiser if name == DENOISER else name


Places = list[tuple[str, str]]


def _names(model: torch.nn.Module) -> Iterator[tuple[str, Places]]:
    """(name as files have it, its places in `model`); the model's own names come last and so prevail."""
    own = {name: flat(name) for name, module in model.named_modules() if isinstance(getattr(module, "weight", None), torch.nn.Parameter)}
    originals: dict[str, Places] = {}
    for name, original in _original_names(model):
        if name in own:
            original, _, form = original.partition(":")
            originals.setdefault(flat(original), []).append((name, form))
    yield from originals.items()
    for name, flattened in own.items():
        for now, formerly in _FORMERLY:
            if flattened.endswith(now):
                yield flattened.removesuffix(now) + formerly, [(name, "")]
    for name, flattened in own.items():
        yield flattened, [(name, "")]


def _original_names(model: torch.nn.Module) -> Iterator[tuple[str, str]]:
    """(module, its original name), where the class has one."""
    names = _ORIGINAL.get(type(model).__name__)
    config = getattr(model, "config", None)
    if names is None or config is None:
        return
    for name, original in names(config):
        if name.endswith(".weight"):
            yield name.removesuffix(".weight"), original.replace(".weight", "", 1)
