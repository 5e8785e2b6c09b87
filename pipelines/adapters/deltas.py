"""The differences that LoRA-like files stand for, as dense tensors.

LoRA: https://arxiv.org/abs/2106.09685; LoCon, LoHa, LoKr: https://arxiv.org/abs/2309.14859; DoRA: https://arxiv.org/abs/2402.09353;
IA3: https://arxiv.org/abs/2205.05638. All arithmetic is in float32.
"""

from collections.abc import Callable, Mapping
from math import sqrt

import torch
from torch import Tensor

from .changes import Change

Tensors = Mapping[str, Tensor]


def delta(change: Change, tensors: Tensors, base: Tensor) -> Tensor:
    """What `change` at weight 1 adds to `base`, float32, of the shape of `base` (out, in, ...).

    `tensors` holds float32 tensors by slot on the device of `base`, which may be of any dtype. `change` has to fit it.
    """
    if change.form == "ia3":
        return _ia3(tensors, base)
    difference = _FORMULAS[change.form](tensors, _scale(change, tensors)).reshape(base.shape)
    return _redirected(base.float(), difference, tensors) if change.decomposed else difference


def _scale(change: Change, tensors: Tensors) -> float:
    alpha = float(tensors["alpha"]) if "alpha" in tensors else change.alpha
    if alpha is None or not change.rank:
        return 1.0
    return alpha / (sqrt(change.rank) if change.root_rank else change.rank)


def _lora(tensors: Tensors, scale: float) -> Tensor:
    down, up = tensors["down"], tensors["up"].flatten(1) * scale  # scaled while it is small
    if "mid" in tensors:
        return torch.einsum("ij...,oi,jc->oc...", tensors["mid"], up, down.flatten(1))
    return up @ down.flatten(1)


def _product(left: Tensor, right: Tensor, core: Tensor | None) -> Tensor:
    """left (out, r) @ right (r, in...), or of a core (r, r, ...) between left (r, out) and right (r, in)."""
    if core is not None:
        return torch.einsum("ij...,io,jc->oc...", core, left, right)
    return (left @ right.flatten(1)).reshape(left.shape[0], *right.shape[1:])


def _loha(tensors: Tensors, scale: float) -> Tensor:
    first = _product(tensors["hada_w1_a"] * scale, tensors["hada_w1_b"], tensors.get("hada_t1"))
    return first.mul_(_product(tensors["hada_w2_a"], tensors["hada_w2_b"], tensors.get("hada_t2")))


def _lokr(tensors: Tensors, scale: float) -> Tensor:
    first = tensors["lokr_w1"] if "lokr_w1" in tensors else tensors["lokr_w1_a"] @ tensors["lokr_w1_b"]
    second = tensors["lokr_w2"] if "lokr_w2" in tensors else _product(tensors["lokr_w2_a"], tensors["lokr_w2_b"], tensors.get("lokr_t2"))
    return torch.kron(first.reshape(*first.shape, *[1] * (second.dim() - 2)) * scale, second)


def _whole(slot: str) -> Callable[[Tensors, float], Tensor]:
    return lambda tensors, scale: tensors[slot]


_FORMULAS: Mapping[str, Callable[[Tensors, float], Tensor]] = {
    "lora": _lora,
    "loha": _loha,
    "lokr": _lokr,
    **{slot: _whole(slot) for slot in ("diff", "diff_b", "w_norm", "b_norm")},
}


def _ia3(tensors: Tensors, base: Tensor) -> Tensor:
    """What is more than the base itself where each output, or each input, is scaled by one number."""
    axis = 1 if int(tensors["on_input"]) else 0
    return base.float() * tensors["weight"].reshape([-1 if dimension == axis else 1 for dimension in range(base.dim())])


def _redirected(base: Tensor, difference: Tensor, tensors: Tensors) -> Tensor:
    """The difference that is left when each row of the changed weight is brought to a length of its own.

    `dora_scale` (out, 1, ...) holds the lengths of what makes one output, (1, in, ...) of what takes one input, as some
    trainers have it; `magnitude` always has one for each output.
    """
    changed = base + difference
    lengths = tensors["magnitude"].reshape(-1) if "magnitude" in tensors else tensors["dora_scale"]
    by_output = lengths.dim() == 1 or lengths.shape[0] == base.shape[0]
    axis = 0 if by_output else 1
    norms = changed.transpose(0, axis).flatten(1).norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    factors = lengths.reshape(-1) / norms
    return changed * factors.reshape([-1 if dimension == axis else 1 for dimension in range(base.dim())]) - base
