"""ControlNets on disk: folders and files in both layouts, told from their headers; what is none says so in one sentence."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines.catalog import Catalog
from pipelines.control.reading import inspect, names
from pipelines.control.shelf import ControlShelf
from pipelines.errors import CheckpointError, UnknownName
from pipelines.library import Library
from pipelines.loading import load
from tests.pipelines.control.toy_nets import shelf, toy_net

CPU = torch.device("cpu")
READABLE = {"attention_head_dim": 8, "norm_num_groups": 8}  # as shapes imply them


def original(net: torch.nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    state = net.state_dict()
    return {prefix + old: state[new].contiguous() for new, old in names(net.config)}


@pytest.mark.parametrize("layout", ["folder", "original", "bare", "diffusers"])
def test_every_layout_gives_the_same_weights(tmp_path: Path, layout: str) -> None:
    net = toy_net(**READABLE)
    path = tmp_path / "net.safetensors"
    if layout == "folder":
        path = tmp_path / "net"
        net.save_pretrained(path)
    elif layout == "diffusers":
        save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path)
    else:
        save_file(original(net, "control_model." if layout == "original" else ""), path)
    info = inspect(path)
    assert info.broken is None and info.part is not None and info.text_width == 16
    made = load(info.part, info.name, CPU, torch.float32)
    assert {name: made.config[name] for name in READABLE} == READABLE
    for name, tensor in net.state_dict().items():
        assert torch.equal(made.state_dict()[name], tensor), name


def test_shuffle_tells_what_and_not_where(tmp_path: Path) -> None:
    path = tmp_path / "control_v11e_sd15_shuffle.safetensors"
    save_file(original(toy_net(**READABLE), "control_model."), path)
    part = inspect(path).part
    assert part is not None and part.config["global_pool_conditions"] is True


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ({"something": torch.zeros(1)}, "x.safetensors is no ControlNet."),
        ({"lora_controlnet": torch.zeros(1)}, "is a Control-LoRA, which needs the checkpoint's own weights, which cannot be used yet."),
        ({"body.0.block1.weight": torch.zeros(1)}, "is a T2I-Adapter, which cannot be used yet."),
        ({"controlnet_x_embedder.weight": torch.zeros(1)}, "is a ControlNet for Flux, which cannot be used yet."),
        ({"control_model.input_hint_block.0.weight": torch.zeros(4, 3, 3, 3)}, "is no complete ControlNet"),
    ],
)
def test_what_cannot_be_used_says_what_it_is(tmp_path: Path, tensors: dict[str, torch.Tensor], why: str) -> None:
    save_file(tensors, tmp_path / "x.safetensors")
    assert why in str(inspect(tmp_path / "x.safetensors").broken)


def test_incomplete_damaged_and_pickled_files(tmp_path: Path) -> None:
    state = original(toy_net(**READABLE), "control_model.")
    state.pop("control_model.zero_convs.1.0.bias")
    save_file(state, tmp_path / "a.safetensors")
    assert "is incomplete: it lacks 'control" in str(inspect(tmp_path / "a.safetensors").broken)
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    assert "is not a safetensors file" in str(inspect(tmp_path / "b.safetensors").broken)
    (tmp_path / "control_v11p_sd15_canny.pth").write_bytes(b"pickle")
    told = str(inspect(tmp_path / "control_v11p_sd15_canny.pth").broken)
    assert "is a pickle, which can run code when opened; convert it to .safetensors on the page for models." in told
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"_class_name": "UNet2DConditionModel"}))
    assert "is a UNet2DConditionModel, where ControlNetModel is needed" in str(inspect(other).broken)


def test_they_are_listed_by_name_and_appear_without_a_restart(tmp_path: Path) -> None:
    found = ControlShelf((tmp_path,))
    assert found.all() == []
    with pytest.raises(UnknownName, match="no ControlNet named 'lines'; known: none"):
        found.find("lines")
    shelf(tmp_path, lines=toy_net())
    (tmp_path / "controlnet" / "torn.safetensors").write_bytes(b"no")
    assert [(info.name, info.broken is None) for info in found.all()] == [("lines", True), ("torn.safetensors", False)]
    assert found.find("lines").part is found.find("lines").part  # read once
    (tmp_path / "controlnet" / "good.pth").write_bytes(b"pickle")
    assert "good.pth" in [info.name for info in found.all()]
    save_file(original(toy_net(**READABLE), ""), tmp_path / "controlnet" / "good.safetensors")
    assert "good.pth" not in [info.name for info in found.all()]  # it has been converted
    with pytest.raises(CheckpointError, match=r"torn\.safetensors is not"):
        found.find("torn.safetensors")
    entries = {entry.name: entry for entry in Library(Catalog([tmp_path])).entries("controlnet")}
    assert (
        entries["lines"].detail == "diffusers folder"
        and entries["lines"].weights == tmp_path / "controlnet/lines/diffusion_pytorch_model.safetensors"
    )
