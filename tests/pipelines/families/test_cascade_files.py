"""Stable Cascade on disk: halves and stages become one checkpoint, and a sentence says what is missing."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableCascadeCombinedPipeline, StableCascadeUNet
from diffusers.loaders.single_file_utils import convert_stable_cascade_unet_single_file_to_diffusers
from safetensors.torch import load_file, save_file

from pipelines import headers
from pipelines.catalog import Catalog
from pipelines.components import Components
from pipelines.errors import CheckpointError
from pipelines.families import cascade_keys
from pipelines.manager import PipelineManager
from tests.pipelines.families import cascade_single
from tests.pipelines.families.cascade_toys import ATTENTION, RES, TIME, save_halves, toy_decoder, toy_parts, toy_prior

RECOMMENDED = {"scheduler": "wuerstchen", "schedule": "automatic", "num_inference_steps": 20, "guidance_scale": 4.0}


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Any]:
    return toy_parts(tmp_path / "parts")


def same(module: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether the first has the weights of the second, as far as it has any."""
    weights = other.state_dict()
    return all(torch.equal(tensor, weights[name]) for name, tensor in module.state_dict().items())


def require_whole(loaded: Components, made: dict[str, Any]) -> None:
    for name, theirs in (("prior", "prior"), ("decoder", "decoder"), ("vae", "vqgan"), ("text_encoder", "text_encoder")):
        assert same(loaded.modules[name], made[theirs]), name
    assert loaded.text_encoder.config.use_attention_mask and set(loaded.tokenizers) == {"text_encoder"}
    assert (loaded.vae_scale_factor, loaded.size_multiple, loaded.latent_channels) == (4, 8, 4)


def test_two_folders_are_one_checkpoint(tmp_path: Path, parts: dict[str, Any]) -> None:
    save_halves(tmp_path / "checkpoints", parts)
    catalog = Catalog([tmp_path])
    (info,) = catalog.checkpoints()
    assert (info.name, info.family, info.broken, info.tasks) == ("stable-cascade-prior", "cascade", None, ["txt2img"])
    assert info.summary == "Completed with stable-cascade." and info.recommended == RECOMMENDED | {"width": 1024, "height": 1024}
    weights = sum(file.stat().st_size for file in tmp_path.rglob("checkpoints/*/*/*.safetensors"))
    assert info.size_bytes == weights
    with PipelineManager(catalog).acquire(info.name) as loaded:
        require_whole(loaded, parts)
        assert set(loaded.hashes) == {"prior", "decoder", "vae", "text_encoder", "checkpoint"}
        assert loaded.hashes["checkpoint"] == loaded.hashes["prior"] != loaded.hashes["decoder"]
        assert loaded.scheduler_config["_class_name"] == "DDPMWuerstchenScheduler"


def test_halves_in_the_cache_of_the_hub_find_each_other(tmp_path: Path, parts: dict[str, Any]) -> None:
    save_halves(tmp_path / "made", parts)
    for name in ("stable-cascade", "stable-cascade-prior"):
        snapshot = tmp_path / "hub" / f"models--stabilityai--{name}" / "snapshots" / "abc"
        snapshot.parent.mkdir(parents=True)
        (tmp_path / "made" / name).rename(snapshot)
    (info,) = Catalog([tmp_path / "hub"]).checkpoints()
    assert (info.name, info.broken) == ("stabilityai/stable-cascade-prior", None)


def test_a_combined_folder_is_whole_by_itself(tmp_path: Path, parts: dict[str, Any]) -> None:
    shared = {name: parts[name] for name in ("tokenizer", "text_encoder", "scheduler", "decoder", "vqgan")}
    prior = {f"prior_{name}": parts[name] for name in ("tokenizer", "text_encoder", "scheduler", "prior")}
    StableCascadeCombinedPipeline(**shared, **prior).save_pretrained(tmp_path / "checkpoints" / "both")
    catalog = Catalog([tmp_path])
    info = catalog.checkpoint("both")
    assert (info.family, info.partial, info.others, info.summary) == ("cascade", False, (), "")
    with PipelineManager(catalog).acquire("both") as loaded:
        require_whole(loaded, parts)


@pytest.mark.parametrize(
    ("lost", "left", "sentence"),
    [
        (
            "stable-cascade", "stable-cascade-prior",
            "stable-cascade-prior holds the prior (stage C) and the text encoder (CLIP bigG) of Stable Cascade and lacks the decoder "
            "(stage B) and the VQGAN (stage A); put what is missing beside it.",
        ),
        (
            "stable-cascade-prior", "stable-cascade",
            "stable-cascade holds the decoder (stage B), the VQGAN (stage A) and the text encoder (CLIP bigG) of Stable Cascade and lacks "
            "the prior (stage C); put what is missing beside it.",
        ),
    ],
)  # fmt: skip
def test_a_missing_half_is_told_and_found_once_it_comes(tmp_path: Path, parts: dict[str, Any], lost: str, left: str, sentence: str) -> None:
    shelf = tmp_path / "checkpoints"
    save_halves(shelf, parts)
    (shelf / lost).rename(tmp_path / lost)
    catalog = Catalog([tmp_path])
    with pytest.raises(CheckpointError) as caught:
        catalog.checkpoint(left)
    assert str(caught.value) == sentence
    (tmp_path / lost).rename(shelf / lost)
    assert catalog.checkpoint("stable-cascade-prior").broken is None
    assert [info.name for info in catalog.checkpoints()] == ["stable-cascade-prior"]


def test_priors_share_a_decoder_and_the_nearest_completes(tmp_path: Path, parts: dict[str, Any]) -> None:
    shelf = tmp_path / "checkpoints"
    save_halves(shelf / "mine", parts)
    save_halves(shelf / "theirs", toy_parts(tmp_path / "others", seed=5))
    shutil.copytree(shelf / "mine" / "stable-cascade-prior", shelf / "mine" / "tuned")
    catalog = Catalog([tmp_path])
    found = {info.name: info.summary for info in catalog.checkpoints()}
    assert found == {
        "mine/stable-cascade-prior": "Completed with mine/stable-cascade.",
        "mine/tuned": "Completed with mine/stable-cascade.",
        "theirs/stable-cascade-prior": "Completed with theirs/stable-cascade.",
    }
    manager = PipelineManager(catalog)
    with manager.acquire("mine/tuned") as tuned, manager.acquire("mine/stable-cascade-prior") as first:
        assert tuned.denoiser is first.denoiser


def test_a_changed_half_is_loaded_anew(tmp_path: Path, parts: dict[str, Any]) -> None:
    save_halves(tmp_path / "checkpoints", parts)
    catalog = Catalog([tmp_path])
    before = catalog.checkpoint("stable-cascade-prior").version
    weights = tmp_path / "checkpoints" / "stable-cascade" / "decoder" / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(weights).items()}, weights)
    assert catalog.checkpoint("stable-cascade-prior").version != before


def test_the_published_stages_are_one_checkpoint(tmp_path: Path) -> None:
    made = cascade_single.save_stages(tmp_path)
    catalog = Catalog([tmp_path])
    (info,) = catalog.checkpoints()
    assert (info.name, info.broken) == ("cascade/stage_c.safetensors", None)
    assert info.summary == "Completed with cascade/stage_b.safetensors, cascade/stage_a.safetensors and clip_g.safetensors."
    with PipelineManager(catalog).acquire(info.name) as loaded:
        require_whole(loaded, made)
        assert loaded.hashes["checkpoint"]
    (tmp_path / "text_encoders" / "clip_g.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"stage_c\.safetensors holds the prior .* lacks the text encoder \(CLIP bigG\);"):
        catalog.checkpoint(info.name)


def test_comfys_checkpoints_of_two_are_one_here(tmp_path: Path) -> None:
    made = cascade_single.save_comfy(tmp_path / "checkpoints")
    catalog = Catalog([tmp_path])
    (info,) = catalog.checkpoints()
    assert (info.name, info.broken) == ("stable_cascade_stage_c.safetensors", None)
    with PipelineManager(catalog).acquire(info.name) as loaded:
        require_whole(loaded, made)


def test_a_denoiser_in_diffusers_names_is_a_piece_too(tmp_path: Path) -> None:
    made = cascade_single.save_stages(tmp_path)
    save_file(made["prior"].state_dict(), tmp_path / "checkpoints" / "cascade" / "stage_c.safetensors")
    catalog = Catalog([tmp_path])
    with PipelineManager(catalog).acquire("cascade/stage_c.safetensors") as loaded:
        require_whole(loaded, made)


@pytest.mark.parametrize("make", [toy_prior, toy_decoder])
def test_names_are_those_of_diffusers_converter(make: Any) -> None:
    state = make().state_dict()
    original = cascade_single.original(state)
    converted = convert_stable_cascade_unet_single_file_to_diffusers(original)
    assert {name for name, _ in cascade_keys.unet(original)} == set(converted) == set(state)


PUBLISHED = {
    "stage c": {
        "in_channels": 16, "out_channels": 16, "timestep_ratio_embedding_dim": 64, "patch_size": 1, "conditioning_dim": 2048,
        "block_out_channels": [2048, 2048], "num_attention_heads": [32, 32], "down_num_layers_per_block": [8, 24],
        "up_num_layers_per_block": [24, 8], "down_blocks_repeat_mappers": [1, 1], "up_blocks_repeat_mappers": [1, 1],
        "block_types_per_layer": [[RES, TIME, ATTENTION]] * 2, "clip_text_in_channels": 1280, "clip_text_pooled_in_channels": 1280,
        "clip_image_in_channels": 768, "clip_seq": 4, "effnet_in_channels": None, "pixel_mapper_in_channels": None, "kernel_size": 3,
        "timestep_conditioning_type": ["sca", "crp"], "switch_level": [False],
    },
    "stage b": {
        "in_channels": 4, "out_channels": 4, "timestep_ratio_embedding_dim": 64, "patch_size": 2, "conditioning_dim": 1280,
        "block_out_channels": [320, 640, 1280, 1280], "num_attention_heads": [0, 0, 20, 20], "down_num_layers_per_block": [2, 6, 28, 6],
        "up_num_layers_per_block": [6, 28, 6, 2], "down_blocks_repeat_mappers": [1, 1, 1, 1], "up_blocks_repeat_mappers": [3, 3, 2, 2],
        "block_types_per_layer": [[RES, TIME]] * 2 + [[RES, TIME, ATTENTION]] * 2, "clip_text_in_channels": None,
        "clip_text_pooled_in_channels": 1280, "clip_image_in_channels": None, "clip_seq": 4, "effnet_in_channels": 16,
        "pixel_mapper_in_channels": 3, "kernel_size": 3, "timestep_conditioning_type": ["sca"], "switch_level": None,
    },
}  # fmt: skip


@pytest.mark.parametrize("stage", PUBLISHED)
def test_the_published_configurations_are_read_off_their_shapes(stage: str) -> None:
    with torch.device("meta"):
        state = StableCascadeUNet(**PUBLISHED[stage], dropout=0.0).state_dict()
    inferred = cascade_keys.infer({name: tuple(tensor.shape) for name, tensor in cascade_single.original(state).items()})
    assert inferred == {**PUBLISHED[stage], "dropout": 0.0}
    with torch.device("meta"):
        made = StableCascadeUNet(**inferred).state_dict()
    assert {name: tensor.shape for name, tensor in made.items()} == {name: tensor.shape for name, tensor in state.items()}


@pytest.mark.parametrize("layout", ["stages", "folders"])
def test_a_listing_reads_every_header_once(tmp_path: Path, parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch, layout: str):
    if layout == "stages":
        cascade_single.save_stages(tmp_path)
    else:
        (tmp_path / "checkpoints").mkdir()
        save_halves(tmp_path / "checkpoints", parts)
    opened: list[Path] = []
    read = headers.read

    def counted(path: Path, label: str = "") -> headers.Header:
        opened.append(path)
        return read(path, label)

    monkeypatch.setattr(headers, "read", counted)
    catalog = Catalog([tmp_path])
    [info] = catalog.checkpoints()
    assert info.broken is None
    assert len(opened) == len(set(opened)) == (4 if layout == "stages" else 5)
    catalog.read(info)
    assert len(opened) == len(set(opened)), "taking it apart to load it needs no more"
