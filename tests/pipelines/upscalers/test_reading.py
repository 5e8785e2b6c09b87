"""Upscaler files told apart by their headers: every layout gives the same network, and what cannot be used says why."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipelines.errors import CheckpointError
from pipelines.upscalers import inspect
from pipelines.upscalers.loading import load
from tests.pipelines.upscalers import toys
from tests.pipelines.upscalers.toys import Weights, compact, oldest, renamed, rrdb, saved, weights, wrapped

CPU = torch.device("cpu")


def loaded(path: Path, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    return load(inspect(path), CPU, dtype).module


@pytest.mark.parametrize("layout", [weights, oldest, renamed, wrapped])
@pytest.mark.parametrize(("doublings", "shrink"), [(2, 1), (1, 1), (0, 1), (3, 1), (2, 2), (2, 4)])
def test_every_layout_gives_the_same_network(tmp_path: Path, layout: Callable, doublings: int, shrink: int) -> None:
    network = rrdb(doublings, shrink, blocks=2)
    path = saved(tmp_path / "toy.safetensors", layout(network))
    info = inspect(path)
    assert (info.broken, info.architecture, info.title, info.name) == (None, "ESRGAN", "toy", "toy.safetensors")
    assert info.scale == 2**doublings // shrink and info.size_bytes == path.stat().st_size
    picture = torch.rand(1, 3, 13, 10)
    with torch.no_grad():
        theirs, ours = network(picture), loaded(path)(picture)
    assert ours.shape == (1, 3, 13 * info.scale, 10 * info.scale) and torch.equal(ours, theirs)


@pytest.mark.parametrize(("scale", "channels"), [(1, 3), (2, 3), (4, 3), (2, 1)])
@pytest.mark.parametrize("layout", [weights, wrapped])
def test_compact_networks(tmp_path: Path, scale: int, channels: int, layout: Callable) -> None:
    network = compact(scale, channels)
    path = saved(tmp_path / "toy.safetensors", layout(network))
    info = inspect(path)
    assert (info.broken, info.architecture, info.scale) == (None, "Real-ESRGAN Compact", scale)
    picture = torch.rand(1, channels, 5, 7)
    with torch.no_grad():
        assert torch.equal(loaded(path)(picture), network(picture))


def test_the_dense_blocks_are_those_of_the_paper() -> None:
    """Written once more from the paper's formulas, with nothing but torch's functions."""
    network = rrdb(doublings=1, features=6)
    state, conv = network.state_dict(), torch.nn.functional.conv2d

    def layer(name: str, x: torch.Tensor) -> torch.Tensor:
        return conv(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    def active(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    picture = torch.rand(1, 3, 9, 8)
    first = trunk = layer("conv_first", picture)
    for dense in (1, 2, 3):
        seen = [trunk]
        for index in range(1, 5):
            seen.append(active(layer(f"body.0.rdb{dense}.conv{index}", torch.cat(seen, 1))))
        trunk = trunk + 0.2 * layer(f"body.0.rdb{dense}.conv5", torch.cat(seen, 1))
    x = first + layer("conv_body", first + 0.2 * trunk)
    x = active(layer("conv_up1", x.repeat_interleave(2, 2).repeat_interleave(2, 3)))
    expected = layer("conv_last", active(layer("conv_hr", x)))
    with torch.no_grad():
        assert torch.allclose(network(picture), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision(tmp_path: Path, dtype: torch.dtype) -> None:
    path = saved(tmp_path / "toy.safetensors", {name: tensor.half() for name, tensor in weights(rrdb()).items()})
    assert {parameter.dtype for parameter in loaded(path, dtype).parameters()} == {dtype}
    whole = loaded(path)
    assert not whole.training and not any(parameter.requires_grad for parameter in whole.parameters())


def without(name: str) -> Callable[[Weights], None]:
    return lambda tensors: tensors.__delitem__(name)


def changed(name: str, value: torch.Tensor) -> Callable[[Weights], None]:
    return lambda tensors: tensors.update({name: value})


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (without("conv_hr.bias"), "incomplete: it lacks 'conv_hr.bias'"),
        (without("conv_first.weight"), "incomplete: it lacks 'conv_first.weight'"),
        (without("body.0.rdb2.conv3.weight"), "incomplete: it lacks 'body.0.rdb2.conv3.weight'"),
        (changed("conv_hr.weight", torch.zeros(8, 8, 1, 1)), "'conv_hr.weight' of shape (8, 8, 1, 1) and type F32"),
        (changed("conv_hr.bias", torch.zeros(8, dtype=torch.int32)), "'conv_hr.bias' of shape (8,) and type I32"),
        (changed("conv_first.weight", torch.zeros(8)), "'conv_first.weight' of shape (8,), which fits no upscaler"),
        (changed("conv_first.weight", torch.zeros(8, 4, 3, 3)), "takes 4 channels and gives 3"),
        (changed("conv_last.weight", torch.zeros(0, 8, 3, 3)), "takes 3 channels and gives 0"),
        (changed("body.0.rdb1.conv1x1.weight", torch.zeros(4, 8, 1, 1)), "a weight 'body.0.rdb1.conv1x1.weight' that no kind"),
        (changed("body.7.rdb1.conv1.weight", torch.zeros(4, 8, 3, 3)), "lacks 'body.1.rdb1.conv1.weight'"),
        (changed("HRconv.weight", torch.zeros(8, 8, 3, 3)), "that no kind of it known here has"),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path: Path, harm: Callable[[Weights], None], why: str) -> None:
    tensors = weights(rrdb())
    harm(tensors)
    info = inspect(saved(tmp_path / "odd.safetensors", tensors))
    assert info.blueprint is None and info.scale is None and info.architecture is None
    assert info.broken is not None and info.broken.startswith("odd.safetensors") and why in info.broken and info.broken.endswith(".")
    with pytest.raises(CheckpointError, match="odd"):
        load(info, CPU, torch.float32)


def test_an_odd_compact_network(tmp_path: Path) -> None:
    tensors = weights(compact())
    odd = tensors | {"body.4.weight": torch.zeros(47, 8, 3, 3), "body.4.bias": torch.zeros(47)}
    assert "gives 47" in str(inspect(saved(tmp_path / "a.safetensors", odd)).broken)
    assert "enlarges 32 times; at most 16" in str(inspect(saved(tmp_path / "b.safetensors", weights(compact(32)))).broken)
    del tensors["body.1.weight"]
    assert "lacks 'body.1.weight'" in str(inspect(saved(tmp_path / "c.safetensors", tensors)).broken)


def test_other_files(tmp_path: Path) -> None:
    other = saved(tmp_path / "swin.safetensors", {"layers.0.residual_group.blocks.0.attn.qkv.weight": torch.zeros(2)})
    assert "no upscaler of a known kind" in str(inspect(other).broken)
    assert "no upscaler of a known kind" in str(inspect(saved(tmp_path / "none.safetensors", {})).broken)
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"\xff" * 100)
    assert "not a safetensors file" in str(inspect(garbage).broken)
    pickle = tmp_path / "RealESRGAN_x4plus.pth"
    pickle.write_bytes(b"\x80\x02")
    info = inspect(pickle)
    assert info.broken == "RealESRGAN_x4plus.pth is a pickle, which can run code when opened; convert it to .safetensors."
    assert "no longer there" in str(inspect(tmp_path / "gone.safetensors").broken)


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    tensors = weights(rrdb()) | {"conv_hr.bias": torch.full((8,), 1e6)}
    path = saved(tmp_path / "toy.safetensors", tensors)
    assert loaded(path) is not None
    with pytest.raises(CheckpointError, match=r"toy\.safetensors is damaged: its weight 'conv_hr\.bias' is not finite in float16\."):
        loaded(path, torch.float16)


def test_a_file_that_changes_after_it_was_listed(tmp_path: Path) -> None:
    path = saved(tmp_path / "toy.safetensors", weights(rrdb()))
    info = inspect(path)
    saved(path, weights(rrdb(blocks=2)))
    with pytest.raises(CheckpointError, match="has changed while"):
        load(info, CPU, torch.float32)


def test_what_lists_upscalers_imports_no_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, pipelines.upscalers, extensions.builtin.hires; print('torch' in sys.modules)"],
        cwd=Path(toys.__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
