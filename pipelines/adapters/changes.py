"""What a LoRA-like file does to each module, from the names and shapes in its header alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from ..headers import FLOATS, TensorInfo

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]


class Form(NamedTuple):
    """A way to write a change. `shape` gives the shape of the difference in the file's own terms, flattened behind the
    first axis where the file flattens it, and None where its tensors do not fit together; `rank` names the slot and
    axis that the rank is read from."""

    title: str
    slots: frozenset[str]
    optional: frozenset[str]
    shape: Callable[[Shapes], Shape | None]
    rank: tuple[tuple[str, int], ...] = ()
    parameter: str = "weight"


def _lora(shapes: Shapes) -> Shape | None:
    down, up, mid = shapes["down"], shapes["up"], shapes.get("mid")
    if len(down) < 2 or len(up) < 2 or up[1] != down[0] or prod(up[2:]) != 1:
        return None
    if mid is None:
        return (up[0], *down[1:])
    return (up[0], down[1], *mid[2:]) if mid[:2] == (down[0], down[0]) and prod(down[2:]) == 1 else None


def _product(left: Shape | None, right: Shape | None) -> Shape | None:
    """Of a matrix and another whose second axis may stand for several."""
    if left is None or right is None or len(left) != 2 or len(right) < 2 or left[1] != right[0]:
        return None
    return (left[0], *right[1:])


def _tucker(core: Shape, left: Shape, right: Shape) -> Shape | None:
    """Of a core (i, j, ...) between factors (i, out) and (j, in)."""
    if len(core) < 2 or len(left) != 2 or len(right) != 2 or core[:2] != (left[0], right[0]):
        return None
    return (left[1], right[1], *core[2:])


def _loha(shapes: Shapes) -> Shape | None:
    halves = []
    for half in "12":
        left, right, core = shapes[f"hada_w{half}_a"], shapes[f"hada_w{half}_b"], shapes.get(f"hada_t{half}")
        halves.append(_product(left, right) if core is None else _tucker(core, left, right))
    return halves[0] if halves[0] == halves[1] else None


def _lokr(shapes: Shapes) -> Shape | None:
    first = shapes.get("lokr_w1") or _product(shapes.get("lokr_w1_a"), shapes.get("lokr_w1_b"))
    core, left, right = shapes.get("lokr_t2"), shapes.get("lokr_w2_a"), shapes.get("lokr_w2_b")
    second = shapes.get("lokr_w2") or (_tucker(core, left, right) if core and left and right else _product(left, right))
    if first is None or second is None or len(first) != 2 or len(second) < 2:
        return None
    return (first[0] * second[0], first[1] * second[1], *second[2:])


def _whole(slot: str) -> Callable[[Shapes], Shape | None]:
    return lambda shapes: shapes[slot] or None


_LOW_RANK = frozenset({"alpha", "dora_scale", "magnitude"})
_LOKR = frozenset({"lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"})
_HADA_RANK, _LOKR_RANK = (("hada_w1_b", 0),), (("lokr_w1_b", 0), ("lokr_w2_b", 0))

FORMS: Mapping[str, Form] = {
    "lora": Form("LoRA", frozenset({"down", "up"}), _LOW_RANK | {"mid"}, _lora, (("down", 0),)),
    "loha": Form(
        "LoHa",
        frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}),
        _LOW_RANK | {"hada_t1", "hada_t2"},
        _loha,
        _HADA_RANK,
    ),
    "lokr": Form("LoKr", frozenset(), _LOW_RANK | _LOKR, _lokr, _LOKR_RANK),
    "ia3": Form("IA3", frozenset({"weight", "on_input"}), frozenset(), _whole("weight")),
    "diff": Form("full difference", frozenset({"diff"}), frozenset({"alpha"}), _whole("diff")),
    "diff_b": Form("full difference", frozenset({"diff_b"}), frozenset({"alpha"}), _whole("diff_b"), parameter="bias"),
    "w_norm": Form("norms", frozenset({"w_norm"}), frozenset(), _whole("w_norm")),
    "b_norm": Form("norms", frozenset({"b_norm"}), frozenset(), _whole("b_norm"), parameter="bias"),
}


@dataclass(frozen=True)
class Change:
    """One change of one parameter ("weight" or "bias") of one module; `tensors` gives the file's tensor for each slot.

    `shape` is that of the difference, as `Form` says. `alpha` is what the file's metadata says where no tensor does;
    `root_rank` whether it is divided by the square root of the rank (rsLoRA, https://arxiv.org/abs/2312.03732).
    """

    component: str
    module: str
    form: str
    tensors: Mapping[str, str]
    shape: Shape
    rank: int | None = None
    alpha: float | None = None
    root_rank: bool = False

    @property
    def parameter(self) -> str:
        return FORMS[self.form].parameter

    @property
    def decomposed(self) -> bool:
        """Whether the length of each row is set apart from its direction (DoRA, https://arxiv.org/abs/2402.09353)."""
        return "dora_scale" in self.tensors or "magnitude" in self.tensors

    @property
    def title(self) -> str:
        """What such a change is commonly called."""
        if self.decomposed:
            return "DoRA"
        return "LoCon" if self.form == "lora" and len(self.shape) == 4 and prod(self.shape[2:]) > 1 else FORMS[self.form].title

    def fits(self, shape: Shape) -> bool:
        """Whether the difference can be added to a parameter of this shape; a 1 × 1 convolution is as good as a matrix."""
        if self.form == "ia3":
            return prod(self.shape) in shape[:2]
        flattened = len(self.shape) <= 2 or len(shape) <= 2
        return self.shape[0] == shape[0] and prod(self.shape) == prod(shape) and (flattened or self.shape == shape)


def changes(component: str, module: str, slots: Mapping[str, tuple[str, TensorInfo]]) -> tuple[list[Change], set[str]]:
    """The changes that a module's tensors, by slot, amount to, and the names of those tensors that belong to none."""
    left, found = dict(slots), []
    for key, form in FORMS.items():
        present = (form.slots | form.optional) & left.keys()
        if not form.slots <= left.keys() or not present - _LOW_RANK:
            continue
        shapes = {slot: left[slot][1].shape for slot in present}
        shape = form.shape(shapes)
        weights = present - {"alpha", "on_input"}
        if shape is None or 0 in shape or any(left[slot][1].dtype not in FLOATS for slot in weights):
            continue
        rank = next((shapes[slot][axis] for slot, axis in form.rank if slot in shapes), None)
        found.append(Change(component, module, key, {slot: left[slot][0] for slot in present}, shape, rank))
        for slot in present - {"alpha"}:
            del left[slot]
    return found, {name for slot, (name, _) in left.items() if slot != "alpha" or not found}
