"""Denoisers in files of their own, completed from the shelves: the same modules as in a whole file, or what is missing in one sentence."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.catalog import Catalog
from pipelines.errors import CheckpointError
from pipelines.families import keys
from pipelines.families.joined_names import original
from pipelines.manager import PipelineManager
from tests.pipelines import ldm_files
from tests.pipelines.families import sd3_single, toys_sdxl

UNET = "model.diffusion_model."


def put(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def of(tensors: dict[str, torch.Tensor], *prefixes: str, cut: str = "") -> dict[str, torch.Tensor]:
    return {name.removeprefix(cut): tensor for name, tensor in tensors.items() if name.startswith(prefixes)}


def same(parts: object, made: dict[str, torch.nn.Module]) -> None:
    for name, module in made.items():
        found, wanted = parts.modules[name].state_dict(), module.state_dict()
        assert set(found) == set(wanted) and all(torch.equal(found[key], wanted[key]) for key in wanted), name


@pytest.fixture(scope="module")
def made() -> dict[str, torch.nn.Module]:
    return ldm_files.components(seed=4)


@pytest.fixture(scope="module")
def whole(made: dict[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    return ldm_files.original(made)


@pytest.fixture
def root(tmp_path: Path, made: dict[str, torch.nn.Module], whole: dict[str, torch.Tensor]) -> Path:
    put(tmp_path / "vae" / "ft-mse.safetensors", of(whole, "first_stage_model.", cut="first_stage_model."))
    text = {f"text_model.{name}": tensor for name, tensor in made["text_encoder"].state_dict().items()}
    put(tmp_path / "text_encoders" / "clip_l.safetensors", text)
    return tmp_path


@pytest.mark.parametrize("form", ["bare", "prefixed", "diffusers", "with text", "with vae"])
def test_a_denoiser_alone_becomes_a_checkpoint(root: Path, made: dict, whole: dict, form: str) -> None:
    tensors = {
        "bare": of(whole, UNET, cut=UNET),
        "prefixed": of(whole, UNET),
        "diffusers": made["unet"].state_dict(),
        "with text": of(whole, UNET, "cond_stage_model."),
        "with vae": of(whole, UNET, "first_stage_model."),
    }[form]
    put(root / "diffusion_models" / "mine.safetensors", tensors)
    catalog = Catalog([root])
    (info,) = catalog.checkpoints()
    assert (info.name, info.broken, info.family) == ("mine.safetensors", None, "sd1")
    assert ("VAE from ft-mse.safetensors" in info.summary) == (form != "with vae")
    assert ("text from clip_l.safetensors" in info.summary) == (form != "with text")
    with PipelineManager(catalog).acquire("mine.safetensors") as parts:
        same(parts, made)
        assert parts.vae.config.scaling_factor == 0.18215 and parts.tokenizer("a cat") == [320, 2368]
        assert len(parts.hashes["checkpoint"]) == 64


def test_what_completes_it_is_shared_with_whole_files(root: Path, made: dict, whole: dict) -> None:
    put(root / "unet" / "mine.safetensors", of(whole, UNET))
    other = {name: tensor + 1 if name.startswith(UNET) else tensor for name, tensor in whole.items()}
    put(root / "checkpoints" / "whole.safetensors", other)
    manager = PipelineManager(Catalog([root]))
    with manager.acquire("mine.safetensors") as mine, manager.acquire("whole.safetensors") as theirs:
        assert mine.vae is theirs.vae and mine.text_encoder is theirs.text_encoder and mine.denoiser is not theirs.denoiser


def test_what_is_missing_is_said_and_where_to_put_it(root: Path, made: dict, whole: dict) -> None:
    put(root / "unet" / "mine.safetensors", of(whole, UNET))
    catalog = Catalog([root])

    def broken() -> str | None:
        return catalog.checkpoints()[0].broken

    def moved(name: str) -> Path:
        return Path(shutil.move(root / name, root / "away"))

    assert broken() is None
    away = moved("vae/ft-mse.safetensors")
    assert broken() == "mine.safetensors has no VAE of its own; put a VAE of 4 channels into vae/."
    with pytest.raises(CheckpointError, match="has no VAE"):
        catalog.checkpoint("mine.safetensors")
    shutil.move(away, root / "vae" / "sdxl.safetensors")  # looks alike, and is of another family by its name
    assert "has no VAE" in str(broken())
    shutil.move(root / "vae" / "sdxl.safetensors", root / "vae" / "ft-mse.safetensors")
    before = catalog.checkpoint("mine.safetensors").version
    shutil.copy(root / "vae" / "ft-mse.safetensors", root / "vae" / "second.safetensors")
    assert "several fit: ft-mse.safetensors, second.safetensors; put a copy" in str(broken())
    shutil.copy(root / "vae" / "second.safetensors", root / "unet" / "mine.vae.safetensors")
    assert broken() is None and catalog.checkpoint("mine.safetensors").version != before
    away = moved("text_encoders/clip_l.safetensors")
    assert (
        broken() == "mine.safetensors is a denoiser alone and lacks its text encoder (clip_l); put it into text_encoders/ as .safetensors."
    )
    wide = {name: tensor.repeat(1, 2) if "token_embedding" in name else tensor for name, tensor in load_file(away).items()}
    put(root / "clip" / "wide.safetensors", wide)
    assert "lacks its text encoder" in str(broken())
    for name in ("one", "two"):
        shutil.copy(away, root / "clip" / f"{name}.safetensors")
    assert "several fit: one.safetensors or two.safetensors" in str(broken())
    (root / "clip" / "two.safetensors").write_bytes(b"garbage")
    assert broken() is None


@pytest.mark.parametrize("names", ["original", "diffusers"])
def test_two_text_encoders_of_xl(tmp_path: Path, names: str) -> None:
    made = toys_sdxl.modules(toys_sdxl.REAL_VOCABULARY)
    toys_sdxl.save_file_of(tmp_path / "whole.safetensors")
    whole = load_file(tmp_path / "whole.safetensors")
    (tmp_path / "whole.safetensors").unlink()
    put(tmp_path / "unet" / "xl.safetensors", of(whole, UNET, cut=UNET) if names == "original" else made["unet"].state_dict())
    put(tmp_path / "vae" / "sdxl_vae.safetensors", made["vae"].state_dict())
    first = {f"text_model.{name}": tensor for name, tensor in made["text_encoder"].state_dict().items()}
    put(tmp_path / "clip" / "clip_l.safetensors", {**first, "text_projection.weight": torch.eye(16), "logit_scale": torch.ones(())})
    second = made["text_encoder_2"].state_dict()
    if names == "original":
        second = of(whole, "conditioner.embedders.1.model.", cut="conditioner.embedders.1.model.")
    put(tmp_path / "clip" / "clip_g.safetensors", second)
    catalog = Catalog([tmp_path])
    (info,) = catalog.checkpoints()
    assert (info.broken, info.family) == (None, "sdxl")
    with PipelineManager(catalog).acquire("xl.safetensors") as parts:
        same(parts, made)
        assert parts.vae.config.scaling_factor == 0.13025 and parts.vae.config.force_upcast
    (tmp_path / "clip" / "clip_l.safetensors").unlink()
    assert "lacks its two text encoders (clip_l and clip_g)" in str(catalog.checkpoints()[0].broken)


def test_what_is_no_denoiser_is_told_as_before(root: Path) -> None:
    put(root / "diffusion_models" / "flux.safetensors", {"double_blocks.0.img_attn.qkv.weight": torch.zeros(1)})
    control = {"conv_in.weight": torch.zeros(1), "controlnet_cond_embedding.conv_in.weight": torch.zeros(1)}
    put(root / "unet" / "control.safetensors", control)
    found = {info.name: info.broken for info in Catalog([root]).checkpoints()}
    assert "a Flux checkpoint" in str(found["flux.safetensors"]) and "a ControlNet" in str(found["control.safetensors"])


@pytest.mark.parametrize("layers", [1, 2])
def test_the_original_name_of_every_weight(layers: int) -> None:
    config = {
        "block_out_channels": (8, 16, 16), "layers_per_block": layers, "addition_embed_type": "text_time",
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    }  # fmt: skip
    pairs = dict(keys.unet(config))
    assert {name: original(name, layers, pairs) for name in pairs} == pairs


def test_stable_diffusion_3_without_its_text_encoders(tmp_path: Path) -> None:
    made = sd3_single.modules(with_t5=False)
    whole = sd3_single.original(made)
    put(tmp_path / "checkpoints" / "sd3.safetensors", of(whole, sd3_single.UNET, sd3_single.VAE))
    catalog = Catalog([tmp_path])
    assert "lacks its two CLIP text encoders" in str(catalog.checkpoints()[0].broken)
    put(tmp_path / "clip" / "clip_l.safetensors", of(whole, sd3_single.CLIP_L, cut=sd3_single.CLIP_L))
    put(tmp_path / "clip" / "clip_g.safetensors", of(whole, sd3_single.CLIP_G, cut=sd3_single.CLIP_G))
    (info,) = catalog.checkpoints()
    assert (info.broken, info.family) == (None, "sd3")
    with PipelineManager(catalog).acquire("sd3.safetensors") as parts:
        same(parts, {name: made[name] for name in ("transformer", "vae", "text_encoder_2")})
        first = {name.removeprefix("text_model."): tensor for name, tensor in made["text_encoder"].state_dict().items()}
        assert all(torch.equal(tensor, first[name]) for name, tensor in parts.modules["text_encoder"].state_dict().items())
