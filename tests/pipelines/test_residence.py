"""Where components live, from numbers alone; and that each way of living gives the same numbers and leaves no trace."""

import gc
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipelines import devices, loading_memory
from pipelines.catalog import Catalog
from pipelines.errors import UnknownName
from pipelines.events import Finished
from pipelines.manager import PipelineManager
from pipelines.offload import Living, home
from pipelines.residence import Residence, Size, activations, residence, size_of
from tests.pipelines import ldm_files
from tests.pipelines.engines import engine, latents, of, request, run
from tests.toys import save_toy

GB = 10**9
CPU = torch.device("cpu")
TEXTS = {"text_encoder": Size(GB // 4, 0), "text_encoder_2": Size(14 * GB // 10, 0)}
XL = {**TEXTS, "unet": Size(51 * GB // 10, 3 * GB), "vae": Size(GB // 6, 0)}
ACTIVATIONS = activations((1024, 1024), 8)


@pytest.mark.parametrize(
    ("free", "main", "ways"),
    [
        (24, 32, {}),
        (9, 32, {"text_encoder": "layers", "text_encoder_2": "layers"}),
        (8.7, 32, {"text_encoder": "layers", "text_encoder_2": "layers", "vae": "layers"}),
        (6.6, 32, {"text_encoder": "layers", "text_encoder_2": "layers", "vae": "layers", "unet": "blocks"}),
        (4, 32, {"text_encoder": "layers", "text_encoder_2": "layers", "vae": "layers", "unet": "layers"}),
        (6.4, 4, {"text_encoder": "layers", "text_encoder_2": "layers", "vae": "layers", "unet": "fp8"}),
        (1, 1, {"text_encoder": "layers", "text_encoder_2": "layers", "vae": "layers", "unet": "layers"}),
    ],
)
def test_the_first_way_that_fits(free: float, main: float, ways: dict[str, str]) -> None:
    found = residence(XL, ["unet"], int(free * GB), int(main * GB), ACTIVATIONS)
    assert {name: way for name, way in found.ways.items() if way != "device"} == ways
    assert found.sentence.endswith(".") and f"{free:.1f} GB free" in found.sentence
    assert found.waits("vae") == ("vae" in ways) and found.way("tiny_decoder") == "device"


@given(st.integers(0, 10**11), st.integers(0, 10**11), st.integers(0, 10**10))
def test_less_room_never_keeps_more_on_the_device(free: int, less: int, needed: int) -> None:
    def kept(room: int) -> int:
        found = residence(XL, ["unet"], room, 10**12, needed)
        return sum({"device": size.whole, "blocks": size.in_blocks}.get(found.ways[name], 0) for name, size in XL.items())

    assert kept(min(free, less)) <= kept(max(free, less))
    assert "fp8" not in residence(XL, ["unet"], free, 10**12, needed).ways.values()  # what is exact comes first


def test_all_denoisers_of_a_checkpoint_wait_where_one_must() -> None:
    two = {"prior": Size(7 * GB, GB), "decoder": Size(3 * GB, GB), "vae": Size(GB, 0)}
    found = residence(two, ["decoder", "prior"], 6 * GB, 32 * GB, activations((1024, 1024), 8))
    assert found.ways == {"prior": "blocks", "decoder": "blocks", "vae": "layers"}


def test_sizes_by_block() -> None:
    weights = {"conv_in.weight": 1, "down_blocks.0.a": 10, "down_blocks.0.b": 5, "down_blocks.1.a": 7, "mid_block.a.0": 2}
    weights["up_blocks.0.a"] = 20
    assert size_of(weights) == Size(45, 3 + 20 + 15)
    assert size_of({"down_blocks.0.0.a.weight": 9, "down_blocks.0.1.0.weight": 2, "down_blocks.1.0.a": 4, "clf": 1}) == Size(16, 1 + 9 + 4)


def test_numbers_that_suit_the_device() -> None:
    cards = {"NVIDIA H200": (9, 0), "NVIDIA GeForce RTX 3060": (8, 6), "NVIDIA GeForce GTX 1660": (7, 5), "Tesla K80": (3, 7)}
    found = {name: devices.suiting("cuda", name, capability) for name, capability in cards.items()}
    assert list(found.values()) == [torch.float16, torch.float16, torch.float32, torch.float32]
    assert devices.suiting("mps") == torch.float16 and devices.dtype_of(CPU) == torch.float32


def test_numbers_by_name() -> None:
    assert [devices.dtype_named(name) for name in ("auto", "bfloat16", "float16")] == [None, torch.bfloat16, torch.float16]
    with pytest.raises(UnknownName, match="There is no dtype named 'int8'"):
        devices.dtype_named("int8")


def unet(module: nn.Module) -> torch.Tensor:
    return module(torch.ones(1, 4, 8, 8), torch.tensor([3]), encoder_hidden_states=torch.ones(1, 5, 16)).sample


def text(module: nn.Module) -> torch.Tensor:
    return module(torch.arange(7)[None]).last_hidden_state


def vae(module: nn.Module) -> torch.Tensor:
    return module.decode(torch.ones(1, 4, 4, 4)).sample + module.encode(torch.ones(1, 3, 32, 32)).latent_dist.mean.sum()


CALLS: dict[str, Callable[[nn.Module], torch.Tensor]] = {"unet": unet, "text_encoder": text, "vae": vae}


@pytest.mark.parametrize("way", ["blocks", "layers"])
@pytest.mark.parametrize("name", CALLS)
def test_waiting_in_main_memory_is_exact_and_leaves_no_trace(name: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ldm_files.components()[name].requires_grad_(False)
    expected = CALLS[name](module)
    resting = {key: tensor.data_ptr() for key, tensor in module.state_dict().items()}
    # A device of its own: whatever visits it is a copy, and what is there without having been brought is caught.
    monkeypatch.setattr("pipelines.offload._brought", lambda tensor, device: tensor.clone())
    living = Living(module, way, CPU, torch.float32)
    rests = {key: tensor.data_ptr() for key, tensor in module.state_dict().items()}
    inside = [key for key, place in rests.items() if place == resting[key]]
    assert inside or name != "unet"
    with torch.inference_mode():
        for _ in range(2):
            assert torch.equal(CALLS[name](module), expected)
    assert {key: tensor.data_ptr() for key, tensor in module.state_dict().items()} == rests
    living.end()
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    with torch.inference_mode():
        assert torch.equal(CALLS[name](module), expected)
    assert home(way, torch.device("cuda")) == CPU and home("device", torch.device("cuda")).type == "cuda"


def test_weights_changed_where_they_rest_are_used_and_put_back_after_an_error() -> None:
    module = ldm_files.components()["unet"].requires_grad_(False)
    before = unet(module)
    living = Living(module, "layers", CPU, torch.float32)
    base = module.conv_out.bias.data
    module.conv_out.bias.data = base + 1  # as a LoRA does
    assert torch.allclose(unet(module), before + 1, atol=1e-5)
    module.conv_out.bias.data = base
    with pytest.raises(RuntimeError):
        module(torch.ones(1, 5, 8, 8), torch.tensor([3]), encoder_hidden_states=torch.ones(1, 5, 16))
    assert module.conv_in.weight.data_ptr() and torch.equal(unet(module), before)
    living.end()


def test_eight_bits_keep_the_first_and_last_layers_whole_and_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ldm_files.components()["unet"].requires_grad_(False)
    expected = unet(module)
    living = Living(module, "fp8", CPU, torch.float32)
    assert next(module.parameters()).dtype == torch.float32 == module.conv_out.weight.dtype
    assert module.mid_block.resnets[0].conv1.weight.dtype == torch.float8_e4m3fn
    with torch.inference_mode():
        found = unet(module)
    assert found.dtype == torch.float32 and 0 < (found - expected).norm() / expected.norm() < 0.2
    living.end()
    assert not any("forward" in vars(part) or "_diffusers_hook" in vars(part) for part in module.modules())
    gone = weakref.ref(module)
    del module, living
    gc.collect()
    assert gone() is None


def test_the_engine_makes_the_same_picture_however_the_components_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_toy(tmp_path / "checkpoints" / "toy")
    plain = latents(run(engine(PipelineManager(Catalog([tmp_path]))), request()))[0]
    ways = {"text_encoder": "layers", "unet": "blocks", "vae": "layers"}
    monkeypatch.setattr(loading_memory, "chosen", lambda *given: Residence(ways, "They wait."))
    monkeypatch.setattr("pipelines.offload._brought", lambda tensor, device: tensor.clone())
    manager = PipelineManager(Catalog([tmp_path]))
    events = run(engine(manager), request())
    assert torch.equal(latents(events)[0], plain) and of(events, Finished)
    assert manager.status()["memory_plan"] == "They wait."
    with manager.acquire("toy") as parts:
        unet = parts.denoiser
        assert any(part._forward_pre_hooks for part in unet.modules())
    manager.unload("toy")
    assert manager.memory_plan() == "" and not any(part._forward_pre_hooks or part._forward_hooks for part in unet.modules())


def test_a_model_whose_files_change_keeps_its_way_until_it_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_toy(tmp_path / "checkpoints" / "toy")
    monkeypatch.setattr(loading_memory, "chosen", lambda *given: Residence({"unet": "layers"}, ""))
    manager = PipelineManager(Catalog([tmp_path]))
    with manager.acquire("toy") as old:
        size = manager.memory_bytes()
        shutil.rmtree(folder)
        save_toy(folder, seed=1)
        with manager.acquire("toy") as new:
            assert new.denoiser is not old.denoiser and manager.memory_bytes() == 2 * size
        assert old.denoiser.conv_in._forward_pre_hooks
        held = old.denoiser
    assert not held.conv_in._forward_pre_hooks and manager.memory_bytes() == size
