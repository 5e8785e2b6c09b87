"""Self-attention in which each place sees itself alone, for some rows of a pass: what perturbed attention guidance keeps away from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

from .errors import InvalidRequest

Part = Literal["mid", "down", "up", "all"]
PLACES: dict[Part, tuple[str, ...]] = {"mid": ("mid_block",), "down": ("down_blocks",), "up": ("up_blocks",)}
PLACES["all"] = tuple(name for names in PLACES.values() for name in names)


class Identity:
    """An attention processor of diffusers: the rows marked in `perturbed` get their own values, the others what `inner` makes of
    them. Arithmetic and order are those of diffusers' PAGCFGIdentitySelfAttnProcessor2_0."""

    def __init__(self, inner: Any, perturbed: Sequence[bool]) -> None:
        self._inner = inner
        self._perturbed = [row for row, marked in enumerate(perturbed) if marked]
        self._plain = [row for row, marked in enumerate(perturbed) if not marked]

    def __call__(self, attn: Attention, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        alone = attn.to_out[1](attn.to_out[0](attn.to_v(hidden_states[self._perturbed])))
        result = torch.empty_like(alone[:1].expand(hidden_states.shape[0], *alone.shape[1:]))
        result[self._perturbed] = alone
        if self._plain:
            result[self._plain] = self._inner(attn, hidden_states[self._plain], *args, **kwargs)
        return result


def layers_of(denoiser: torch.nn.Module, part: Part) -> list[Attention]:
    """The self-attention of a UNet's part; raises `InvalidRequest` where there is none."""
    found = [
        module
        for name, module in denoiser.named_modules()
        if isinstance(module, Attention) and not module.is_cross_attention and name.startswith(PLACES[part])
    ]
    if not found:
        where = "" if part == "all" else f" in the part {part!r}"
        raise InvalidRequest(f"pag perturbs the self-attention of UNets, and this checkpoint has none{where}.", "modifiers")
    return found


@contextmanager
def perturbing(denoiser: torch.nn.Module, part: Part, perturbed: Sequence[bool]) -> Iterator[None]:
    """Inside, the rows that are marked in `perturbed` see themselves alone in that part."""
    layers = layers_of(denoiser, part)
    before = [layer.processor for layer in layers]
    try:
        for layer in layers:
            layer.processor = Identity(layer.processor, perturbed)
        yield
    finally:
        for layer, processor in zip(layers, before, strict=True):
            layer.processor = processor
