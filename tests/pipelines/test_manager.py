"""Checkpoints in memory: shared, swapped, held while in use, let go in time, and errors that leave nothing behind."""

import gc
import json
import shutil
import threading
import weakref
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines import loading_memory
from pipelines.catalog import Catalog
from pipelines.conditioning import PromptCache
from pipelines.errors import CheckpointError, OutOfMemory, UnknownName
from pipelines.manager import PipelineManager
from pipelines.plan import EncodePrompt
from tests.pipelines import ldm_files
from tests.toys import save_toy, toy_tiny_decoder


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a and b differ in everything; c has a's text encoder and VAE; single is a file."""
    root = tmp_path_factory.mktemp("toys")
    shelf = root / "checkpoints"
    for seed, name in enumerate("ab"):
        save_toy(shelf / name, seed)
    shutil.copytree(shelf / "a", shelf / "c")
    shutil.rmtree(shelf / "c" / "unet")
    shutil.copytree(shelf / "b" / "unet", shelf / "c" / "unet")
    ldm_files.save(shelf / "single.safetensors", seed=3)
    (root / "vae").mkdir()
    shutil.copytree(shelf / "b" / "vae", root / "vae" / "b-vae")
    vae = ldm_files.components(seed=9)["vae"]
    save_file(vae.state_dict(), root / "vae" / "nine.safetensors")
    return root


@pytest.fixture
def root(toys: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toys, tmp_path / "models"))


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(a: torch.nn.Module, b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, b[name]) for name, tensor in a.state_dict().items())


def test_components(toys: Path) -> None:
    manager = PipelineManager(Catalog([toys]))
    assert not manager.is_loaded("a") and manager.loaded() == [] and manager.memory_bytes() == 0
    with manager.acquire("a") as parts:
        assert (parts.checkpoint, parts.vae_name, parts.family.name, parts.device.type) == ("a", "automatic", "sd1", "cpu")
        assert parts.dtype == torch.float32 and parts.vae_scale_factor == 8 and parts.latent_channels == 4
        assert parts.scheduler_config["_class_name"] == "DDIMScheduler"
        assert parts.latent_rgb_factors == parts.family.latent_rgb_factors and parts.tiny_decoder is None
        unet = toys / "checkpoints" / "a" / "unet" / "diffusion_pytorch_model.safetensors"
        assert parts.hashes["unet"] == parts.hashes["checkpoint"] == sha256(unet.read_bytes()).hexdigest()
        assert set(parts.hashes) == {"unet", "vae", "text_encoder", "checkpoint"} == set(dict(parts.hashes))
    assert manager.is_loaded("a") and not manager.is_loaded("a", "b-vae") and manager.loaded() == ["a"]
    stored = sum(tensor.nbytes for name in ("unet", "vae") for tensor in getattr(parts, {"unet": "denoiser"}.get(name, name)).parameters())
    assert manager.memory_bytes() > stored
    with manager.acquire("a") as again:
        assert again is parts


def test_a_single_file(toys: Path) -> None:
    path = toys / "checkpoints" / "single.safetensors"
    with PipelineManager(Catalog([toys])).acquire("single.safetensors") as parts:
        assert parts.tokenizer("a photo of a cat") == [320, 1125, 539, 320, 2368]
        stage = EncodePrompt(("a cat",), ("",), False, 0, "a1111", "original", 20, 64, 64)
        assert PromptCache().told(stage, parts, "")[0].conditioning["encoder_hidden_states"].shape == (1, 77, 16)
        assert parts.hashes["checkpoint"] == sha256(path.read_bytes()).hexdigest()
        assert len(set(parts.hashes.values())) == 4


def test_components_are_shared_by_what_they_hold(toys: Path) -> None:
    manager = PipelineManager(Catalog([toys]))
    with manager.acquire("a") as a, manager.acquire("b") as b, manager.acquire("c") as c:
        assert c.text_encoder is a.text_encoder and c.vae is a.vae
        assert c.denoiser is b.denoiser and c.denoiser is not a.denoiser
        assert a.fingerprints["vae"] == c.fingerprints["vae"] != b.fingerprints["vae"]
        alone = sum(loading_memory.module_bytes(module) for parts in (a, b) for module in (parts.text_encoder, parts.denoiser, parts.vae))
        assert manager.memory_bytes() == alone


def test_another_vae_over_the_shared_rest(toys: Path) -> None:
    manager = PipelineManager(Catalog([toys]))
    with manager.acquire("a") as a, manager.acquire("b") as b, manager.acquire("a", "b-vae") as swapped:
        assert swapped.denoiser is a.denoiser and swapped.text_encoder is a.text_encoder and swapped.vae is b.vae
        assert swapped.vae_name == "b-vae" and swapped.hashes["vae"] == b.hashes["vae"] and manager.is_loaded("a", "b-vae")
    with manager.acquire("a", "nine.safetensors") as swapped:
        assert same(swapped.vae, ldm_files.components(seed=9)["vae"].state_dict())
        assert swapped.vae.config.scaling_factor == a.vae.config.scaling_factor


def test_a_vae_of_other_latents_is_refused(root: Path) -> None:
    config = root / "vae" / "b-vae" / "config.json"
    shutil.rmtree(root / "vae" / "b-vae")
    toy_vae = ldm_files.components()["vae"]
    smaller = type(toy_vae).from_config({**toy_vae.config, "block_out_channels": (4, 8), "down_block_types": ("DownEncoderBlock2D",) * 2,
                                         "up_block_types": ("UpDecoderBlock2D",) * 2})  # fmt: skip
    smaller.save_pretrained(config.parent)
    manager = PipelineManager(Catalog([root]))
    with pytest.raises(CheckpointError, match=r"4 latent channels at 1/2 .* 4 at 1/8"), manager.acquire("a", "b-vae"):
        pass


def test_the_least_recently_used_goes_before_the_next_is_loaded(toys: Path) -> None:
    catalog = Catalog([toys])
    measure = PipelineManager(catalog)
    with measure.acquire("a"):
        one = measure.memory_bytes()
    manager = PipelineManager(catalog, budget_bytes=int(one * 2.2))
    for name in ("a", "b", "a"):
        with manager.acquire(name):
            pass
    with manager.acquire("single.safetensors"):
        assert "b" not in manager.loaded()
        assert manager.loaded()[0] == "single.safetensors"
    assert manager.memory_bytes() <= max(one * 2.2, one + 10**7)


def test_what_is_let_go_is_freed(toys: Path) -> None:
    manager = PipelineManager(Catalog([toys]), budget_bytes=1)
    with manager.acquire("a") as parts:
        gone = [weakref.ref(parts.denoiser), weakref.ref(parts.vae), weakref.ref(parts.text_encoder)]
        kept = weakref.ref(parts.vae)
    del parts
    with manager.acquire("c"):
        gc.collect()
        assert gone[0]() is None and kept() is not None  # c shares a's VAE and text encoder, which were not read again
        assert manager.loaded() == ["c"]
    with manager.acquire("b"):
        gc.collect()
        assert all(reference() is None for reference in gone)


def test_what_is_in_use_stays(toys: Path) -> None:
    manager = PipelineManager(Catalog([toys]), budget_bytes=1)
    with manager.acquire("a") as a:
        with manager.acquire("b"):
            assert set(manager.loaded()) == {"a", "b"}
        with manager.acquire("a") as again:
            assert again is a
    with manager.acquire("single.safetensors"):
        assert manager.loaded() == ["single.safetensors"]


def test_a_changed_file_is_read_again_and_who_has_the_old_keeps_it(root: Path) -> None:
    manager = PipelineManager(Catalog([root]))
    with manager.acquire("a") as old:
        before = weights(old.denoiser)
        shutil.rmtree(root / "checkpoints" / "a" / "unet")
        shutil.copytree(root / "checkpoints" / "b" / "unet", root / "checkpoints" / "a" / "unet")
        with manager.acquire("a") as new, manager.acquire("b") as b:
            assert new.denoiser is b.denoiser and new.vae is old.vae
        assert same(old.denoiser, before)


def test_errors_are_sentences_and_leave_nothing_behind(root: Path) -> None:
    manager = PipelineManager(Catalog([root]))
    weights_file = root / "checkpoints" / "b" / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights_file)
    tensors["post_quant_conv.bias"][0] = torch.nan
    save_file(tensors, weights_file)
    for name, vae, error in (
        ("nothing", "automatic", UnknownName),
        ("a", "nothing", UnknownName),
        ("b", "automatic", CheckpointError),
        ("../a", "automatic", UnknownName),
    ):
        with pytest.raises(error), manager.acquire(name, vae):
            pass
        assert manager.loaded() == [] and manager.memory_bytes() == 0
    with manager.acquire("a"):
        shutil.rmtree(root / "checkpoints" / "c" / "vae")
        with pytest.raises(CheckpointError, match="missing"), manager.acquire("c"):
            pass
        assert manager.loaded() == ["a"]


def test_more_than_the_machine_has_is_said_beforehand(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = PipelineManager(Catalog([toys]), dtype=torch.bfloat16)
    nothing = type("Memory", (), {"available": 0, "free": 0})()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: nothing)
    monkeypatch.setattr(psutil, "swap_memory", lambda: nothing)
    with pytest.raises(OutOfMemory, match=r"a needs .* GB of memory"), manager.acquire("a"):
        pass


def test_a_tiny_decoder_from_the_checkpoint_or_the_users_folder(root: Path) -> None:
    tiny = toy_tiny_decoder()
    original = {f"{int(name.split('.')[1]) + 1}.{name.split('.', 2)[2]}": tensor for name, tensor in tiny.decoder.state_dict().items()}
    (root / "vae_approx").mkdir()
    save_file(original, root / "vae_approx" / "taesd_decoder.safetensors")
    own = toy_tiny_decoder(seed=1)
    own.save_pretrained(root / "checkpoints" / "b" / "vae_tiny")
    latents = torch.randn(1, 4, 8, 8)
    manager = PipelineManager(Catalog([root]))
    with manager.acquire("a") as a, manager.acquire("b") as b, torch.no_grad():
        assert torch.equal(a.tiny_decoder.decode(latents).sample, tiny.decode(latents).sample)
        assert torch.equal(b.tiny_decoder.decode(latents).sample, own.decode(latents).sample)
    card = {"latent_rgb_factors": [[0.5, 0.5, 0.5]] * 4, "latent_rgb_bias": [0.1, 0.1, 0.1]}
    (root / "checkpoints" / "c" / "safelight.json").write_text(json.dumps(card))
    with manager.acquire("c") as c:  # its latents are its own, so the family's decoder would show nonsense
        assert c.tiny_decoder is None
        assert c.latent_rgb_factors == ((0.5, 0.5, 0.5),) * 4 and c.latent_rgb_bias == (0.1, 0.1, 0.1)
    (root / "vae_approx" / "taesd_decoder.safetensors").write_text("garbage")
    with PipelineManager(Catalog([root])).acquire("a") as a:
        assert a.tiny_decoder is None


def test_hashes_of_a_file_that_vanished_are_empty(root: Path) -> None:
    manager = PipelineManager(Catalog([root]))
    held = threading.Event()
    manager._hasher._executor.submit(held.wait)
    with manager.acquire("single.safetensors") as parts:
        (root / "checkpoints" / "single.safetensors").unlink()
        held.set()
        assert set(parts.hashes.values()) == {""}


def test_status_never_waits_for_a_load(toys: Path) -> None:
    manager = PipelineManager(Catalog([toys]))
    with manager._loading:  # as while a large checkpoint is read
        answered = threading.Event()

        def ask() -> None:
            manager.loaded(), manager.memory_bytes(), manager.is_loaded("a")
            answered.set()

        threading.Thread(target=ask, daemon=True).start()
        assert answered.wait(5)


def test_memory_is_flat_over_20_swaps(toys: Path) -> None:
    manager = PipelineManager(Catalog([toys]), budget_bytes=1)
    process = psutil.Process()

    def swap(name: str) -> None:
        with manager.acquire(name) as parts:
            dict(parts.hashes)

    for name in "ab" * 3:
        swap(name)
    before = process.memory_info().rss
    for name in "ab" * 10:
        swap(name)
    assert process.memory_info().rss <= before * 1.05


def test_what_each_checkpoint_holds(toys: Path) -> None:
    manager = PipelineManager(Catalog([toys]))
    assert manager.status()["holds"] == {} and manager.status()["failures"] == {}
    with manager.acquire("a"), manager.acquire("c"), manager.acquire("a", "b-vae"):
        told = manager.status()
    holds = {name: {(part["component"], part["shared"]) for part in parts} for name, parts in told["holds"].items()}
    assert holds == {
        "a": {("unet", False), ("text_encoder", True), ("vae", True), ("vae", False)},  # its own VAE, and the one it was given
        "c": {("unet", False), ("text_encoder", True), ("vae", True)},
    }
    once = {(part["component"], part["bytes"]) for parts in told["holds"].values() for part in parts}
    assert (
        told["memory_bytes"]
        == sum(part["bytes"] / (2 if part["shared"] else 1) for parts in told["holds"].values() for part in parts)
        > max(size for _, size in once)
    )
    assert [part["bytes"] for part in told["holds"]["a"]] == sorted((part["bytes"] for part in told["holds"]["a"]), reverse=True)
    assert told["waiting_bytes"] == 0 and not any(part["waits"] for part in told["holds"]["a"])
    assert told["plans"] == dict.fromkeys("ac", "Everything is in main memory.")


def test_why_a_checkpoint_could_not_be_loaded_is_kept_until_it_is_asked_for_again(root: Path) -> None:
    manager = PipelineManager(Catalog([root]))
    weights_file = root / "checkpoints" / "b" / "vae" / "diffusion_pytorch_model.safetensors"
    sound = weights_file.read_bytes()
    tensors = load_file(weights_file)
    tensors["post_quant_conv.bias"][0] = torch.nan
    save_file(tensors, weights_file)
    manager.load("b")
    failed = manager.status()["failures"]["b"]
    assert "not finite" in failed["message"] and failed["time"] > 0
    weights_file.write_bytes(sound)
    manager.load("b")
    assert manager.status()["failures"] == {} and manager.loaded() == ["b"]
