"""Our merge against LyCORIS' own modules, and against dense sums written out where there is no such module."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipelines.adapters.lora import LoraUse, applied
from tests.pipelines.adapters import files
from tests.toys import toy_components

LINEAR = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
WIDE = "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj"
CONV = "down_blocks.0.resnets.0.conv1"
NORM = "mid_block.resnets.0.norm1"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return toy_components(tmp_path_factory.mktemp("toy"))


def tensors_of(module: nn.Module, name: str) -> dict[str, Tensor]:
    """A LyCORIS module's tensors as it saves them, made random first."""
    for parameter in module.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.3)
    if hasattr(module, "dora_scale"):
        module.dora_scale.data.abs_().add_(0.5)
    return {f"lora_unet_{name.replace('.', '_')}.{key}": tensor.detach().clone() for key, tensor in module.state_dict().items()}


def merged(parts: Mapping[str, Any], tensors: Mapping[str, Tensor], folder: Path, name: str, weight: float = 1.0) -> nn.Module:
    """A copy of the toy's module `name` as it is with the file applied."""
    path = files.save(folder / "l.safetensors", tensors)
    module = parts["unet"].get_submodule(name)
    with applied(files.components(parts), [LoraUse(path, weight)]) as report:
        assert (report.parameters, report.notices) == (1 + any("diff_b" in key or "b_norm" in key for key in tensors), ())
        copy = nn.Module()
        copy.weight, copy.bias = module.weight.detach().clone(), None if module.bias is None else module.bias.detach().clone()
        return copy


KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "locon": ("LoConModule", CONV, {"lora_dim": 3, "alpha": 2.0}),
    "locon with a core": ("LoConModule", CONV, {"lora_dim": 3, "alpha": 2.0, "use_tucker": True}),
    "dora": ("LoConModule", LINEAR, {"lora_dim": 3, "alpha": 2.0, "weight_decompose": True}),
    "dora of a convolution": ("LoConModule", CONV, {"lora_dim": 3, "alpha": 2.0, "weight_decompose": True}),
    "dora by input": ("LoConModule", WIDE, {"lora_dim": 3, "alpha": 2.0, "weight_decompose": True, "wd_on_out": False}),
    "dora by input of a convolution": (
        "LoConModule",
        "conv_in",
        {"lora_dim": 3, "alpha": 2.0, "weight_decompose": True, "wd_on_out": False},
    ),
    "loha": ("LohaModule", LINEAR, {"lora_dim": 3, "alpha": 2.0}),
    "loha of a convolution": ("LohaModule", CONV, {"lora_dim": 3, "alpha": 2.0}),
    "loha with a core": ("LohaModule", CONV, {"lora_dim": 3, "alpha": 2.0, "use_tucker": True}),
    "doha": ("LohaModule", LINEAR, {"lora_dim": 3, "alpha": 2.0, "weight_decompose": True}),
    "lokr": ("LokrModule", WIDE, {"lora_dim": 2, "alpha": 1.0, "factor": 4}),
    "lokr, both halves": ("LokrModule", WIDE, {"lora_dim": 1, "alpha": 3.0, "factor": 4, "decompose_both": True}),
    "lokr of a convolution": ("LokrModule", "mid_block.resnets.0.conv1", {"lora_dim": 1, "alpha": 3.0, "factor": 4}),
    "lokr with a core": ("LokrModule", "mid_block.resnets.0.conv1", {"lora_dim": 1, "alpha": 3.0, "factor": 4, "use_tucker": True}),
    "lokr in full": ("LokrModule", LINEAR, {"lora_dim": 2, "alpha": 1.0, "full_matrix": True}),
    "ia3 on output": ("IA3Module", WIDE, {}),
    "ia3 on input": ("IA3Module", WIDE, {"train_on_input": True}),
    "ia3 of a convolution": ("IA3Module", CONV, {}),
    "norms": ("NormModule", NORM, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_as_lycoris_has_it(parts: dict[str, Any], tmp_path: Path, kind: str) -> None:
    modules = pytest.importorskip("lycoris.modules")
    cls, name, settings = KINDS[kind]
    torch.manual_seed(0)
    original = parts["unet"].get_submodule(name)
    theirs = getattr(modules, cls)("x", original, **settings)
    mine = merged(parts, tensors_of(theirs, name), tmp_path, name)
    with torch.no_grad():
        if hasattr(theirs, "get_weight"):  # what is trained: LyCORIS 4.1.3 scales once in the forward pass and twice in its merge
            weight, bias = original.weight + theirs.get_weight(original.weight.shape), None
            weight = theirs.apply_weight_decompose(weight) if theirs.wd else weight
        else:
            weight, bias = theirs.get_merged_weight()
    assert not torch.allclose(weight, original.weight, atol=1e-3)
    torch.testing.assert_close(mine.weight, weight, rtol=1e-5, atol=1e-6)
    if bias is not None:
        torch.testing.assert_close(mine.bias, bias)


def test_a_dora_at_half_weight_is_half_way(parts: dict[str, Any], tmp_path: Path) -> None:
    down, up = files.low_rank(parts["unet"].get_submodule(LINEAR))
    base = parts["unet"].get_submodule(LINEAR).weight.detach().clone()
    stem = f"lora_unet_{LINEAR.replace('.', '_')}"
    tensors = {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up, f"{stem}.dora_scale": torch.rand(len(base), 1) + 0.5}
    whole = merged(parts, tensors, tmp_path, LINEAR).weight
    torch.testing.assert_close(merged(parts, tensors, tmp_path, LINEAR, weight=0.5).weight, base + (whole - base) / 2)


def test_loha_and_lokr_as_the_paper_writes_them(parts: dict[str, Any], tmp_path: Path) -> None:
    """ΔW = alpha/r (B₁A₁) ⊙ (B₂A₂) and ΔW = alpha/r C ⊗ (BA), https://arxiv.org/abs/2309.14859, one number at a time."""
    base = parts["unet"].get_submodule(LINEAR).weight.detach().clone()
    out, inside = base.shape
    stem = f"unet.{LINEAR}"
    left = {f"{stem}.hada_w{half}_a": torch.randn(out, 2) for half in "12"}
    right = {f"{stem}.hada_w{half}_b": torch.randn(2, inside) for half in "12"}
    (b1, b2), (a1, a2) = left.values(), right.values()
    expected = torch.tensor([[3 / 2 * float(b1[i] @ a1[:, j]) * float(b2[i] @ a2[:, j]) for j in range(inside)] for i in range(out)])
    mine = merged(parts, {**left, **right, f"{stem}.alpha": torch.tensor(3.0)}, tmp_path, LINEAR)
    torch.testing.assert_close(mine.weight, base + expected)

    c, b, a = torch.randn(2, 4), torch.randn(out // 2, 3), torch.randn(3, inside // 4)
    tensors = {f"{stem}.lokr_w1": c, f"{stem}.lokr_w2_a": b, f"{stem}.lokr_w2_b": a, f"{stem}.alpha": torch.tensor(2.0)}
    high, wide = out // 2, inside // 4
    expected = torch.tensor(
        [[2 / 3 * float(c[i // high, j // wide]) * float(b[i % high] @ a[:, j % wide]) for j in range(inside)] for i in range(out)]
    )
    torch.testing.assert_close(merged(parts, tensors, tmp_path, LINEAR).weight, base + expected)


def test_full_differences(parts: dict[str, Any], tmp_path: Path) -> None:
    original = parts["unet"].get_submodule(CONV)
    weight, bias = torch.randn_like(original.weight), torch.randn_like(original.bias)
    stem = f"lora_unet_{CONV.replace('.', '_')}"
    mine = merged(parts, {f"{stem}.diff": weight, f"{stem}.diff_b": bias}, tmp_path, CONV, weight=0.5)
    torch.testing.assert_close(mine.weight, original.weight + weight / 2)
    torch.testing.assert_close(mine.bias, original.bias + bias / 2)
