"""Stable Diffusion XL and its refiner told apart and loaded, from folders and single files; broken and strange ones as one sentence."""

import json
import time
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_open_clip_checkpoint
from safetensors.torch import load_file

from pipelines import loading
from pipelines.catalog import Catalog
from pipelines.errors import CheckpointError
from pipelines.families import FAMILIES, infer, keys, reading
from pipelines.manager import PipelineManager
from tests.pipelines.families import toys_sdxl

CPU = torch.device("cpu")
BOTH = pytest.mark.parametrize("refiner", [False, True], ids=["base", "refiner"])


def loaded(path: Path, dtype: torch.dtype = torch.float32) -> dict[str, torch.nn.Module]:
    parted = reading.checkpoint(path, FAMILIES)
    return {name: loading.load(part, path.name, CPU, dtype) for name, part in parted.parts.items()}


def assert_same(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    a, b = ours.state_dict(), theirs.state_dict()
    assert set(a) == set(b)
    assert all(torch.equal(a[name], b[name]) for name in a)


@BOTH
def test_a_single_file_comes_back_as_it_was(tmp_path: Path, refiner: bool) -> None:
    path = tmp_path / "model.safetensors"
    theirs = toys_sdxl.save_file_of(path, refiner)
    parted = reading.checkpoint(path, FAMILIES)
    assert parted.family is FAMILIES["sdxl_refiner" if refiner else "sdxl"]
    assert parted.pipeline_config.get("requires_aesthetics_score", False) is refiner
    ours = loaded(path)
    assert set(ours) == set(theirs)
    for name, module in theirs.items():
        assert_same(ours[name], module)
    assert (ours["vae"].config.scaling_factor, ours["vae"].config.force_upcast) == (0.13025, True)
    width = 24 if refiner else 40
    told = {"text_embeds": torch.randn(1, toys_sdxl.POOLED), "time_ids": torch.full((1, 5 if refiner else 6), 64.0)}
    latents, states, ids = torch.randn(1, 4, 8, 8), torch.randn(1, 7, width), torch.arange(77)[None]
    with torch.no_grad():  # heads, depths and sizes were inferred rightly; mapped weights lie unaligned, which rounds otherwise
        a, b = (one["unet"](latents, 3, states, added_cond_kwargs=told).sample for one in (ours, theirs))
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(ours["text_encoder_2"](ids).text_embeds, theirs["text_encoder_2"](ids).text_embeds)


@BOTH
def test_a_folder_is_what_it_says(tmp_path: Path, refiner: bool) -> None:
    path = toys_sdxl.save_folder(tmp_path / "model", refiner)
    parted = reading.checkpoint(path, FAMILIES)
    assert parted.family is FAMILIES["sdxl_refiner" if refiner else "sdxl"]
    assert parted.pipeline_config == {
        "force_zeros_for_empty_prompt": not refiner,
        **({"requires_aesthetics_score": True} if refiner else {}),
    }
    assert parted.native_size == (64, 64)
    assert set(parted.tokenizers) == ({"text_encoder_2"} if refiner else {"text_encoder", "text_encoder_2"})


def test_a_folder_equals_what_diffusers_loads(tmp_path: Path) -> None:
    path = toys_sdxl.save_folder(tmp_path / "model")
    theirs = StableDiffusionXLPipeline.from_pretrained(path, local_files_only=True, add_watermarker=False)
    for name, module in loaded(path).items():
        assert_same(module, getattr(theirs, name))


def test_names_equal_diffusers_converters(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    theirs = toys_sdxl.save_file_of(path)
    tensors = load_file(path)
    unet = convert_ldm_unet_checkpoint(dict(tensors), theirs["unet"].config)
    assert set(unet) == set(theirs["unet"].state_dict())
    assert all(torch.equal(unet[name], tensor) for name, tensor in theirs["unet"].state_dict().items())
    text = convert_open_clip_checkpoint(theirs["text_encoder_2"], tensors, prefix="conditioner.embedders.1.model.")
    # diffusers' own converter tells the projection's width by a true model's
    assert all(torch.equal(text[name], tensor) for name, tensor in theirs["text_encoder_2"].state_dict().items() if name in text)


@pytest.mark.parametrize(("taken", "tasks"), [(4, None), (8, ("img2img",)), (9, ("inpaint",))])
def test_channels_tell_the_tasks(tmp_path: Path, taken: int, tasks: tuple[str, ...] | None) -> None:
    path = tmp_path / "model.safetensors"
    toys_sdxl.save_file_of(path, in_channels=taken)
    assert reading.checkpoint(path, FAMILIES).tasks == tasks
    assert reading.checkpoint(toys_sdxl.save_folder(tmp_path / "model", in_channels=taken), FAMILIES).tasks == tasks


def test_velocity_without_a_last_signal(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    told = []
    for more in ((), ("v_pred",), ("v_pred", "ztsnr")):
        toys_sdxl.save_file_of(path, more=more)
        told.append(loading.scheduler_config(reading.checkpoint(path, FAMILIES), path))
    assert [config["prediction_type"] for config in told] == ["epsilon", "v_prediction", "v_prediction"]
    assert [config.get("rescale_betas_zero_snr", False) for config in told] == [False, False, True]
    assert told[2]["timestep_spacing"] == "trailing"


@pytest.mark.parametrize(
    ("without", "sentence"),
    [
        ("conditioner.", "carries no text encoder"),
        ("embedders.1.", "carries the first of its two text encoders only"),
        ("label_emb.0.2.bias", "unet lacks 'model.diffusion_model.label_emb"),
        ("text_projection", r"second text encoder lacks weights \(text_projection\)"),
        ("embedders.1.model.transformer.resblocks.1.attn.in_proj_bias", "text_encoder_2 lacks"),
        ("first_stage_model", "carries no VAE"),
    ],
)
def test_what_a_single_file_lacks_is_named(tmp_path: Path, without: str, sentence: str) -> None:
    path = tmp_path / "model.safetensors"
    toys_sdxl.save_file_of(path, without=without)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        reading.checkpoint(path, FAMILIES)
    assert str(caught.value).startswith("model.safetensors ") and str(caught.value).endswith(".")


@pytest.mark.parametrize("mark", ["edm_mean", "edm_vpred.sigma_max"])
def test_what_is_trained_otherwise_is_refused(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "model.safetensors"
    toys_sdxl.save_file_of(path, more=(mark,))
    with pytest.raises(CheckpointError, match=r"EDM's noise levels .* cannot be run yet\."):
        reading.checkpoint(path, FAMILIES)


@pytest.mark.parametrize(
    ("file", "changes", "sentence"),
    [
        ("scheduler/scheduler_config.json", {"_class_name": "EDMDPMSolverMultistepScheduler"}, "EDM's noise levels"),
        ("vae/config.json", {"latents_mean": [0.0] * 4}, "EDM's noise levels"),
        ("unet/config.json", {"addition_embed_type": None}, "not told the size"),
        ("unet/config.json", {"in_channels": 5}, "takes 5 channels"),
        ("text_encoder_2/config.json", {"architectures": ["CLIPTextModel"]}, "where CLIPTextModelWithProjection is needed"),
    ],
)
def test_folders_that_are_something_else(tmp_path: Path, file: str, changes: dict, sentence: str) -> None:
    path = toys_sdxl.save_folder(tmp_path / "model")
    config = json.loads((path / file).read_text())
    (path / file).write_text(json.dumps(config | changes))
    with pytest.raises(CheckpointError, match=sentence):
        reading.checkpoint(path, FAMILIES)


def test_half_precision_leaves_the_vae_that_overflows_in_full(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    toys_sdxl.save_file_of(path)
    ours = loaded(path, torch.float16)
    assert {name: next(module.parameters()).dtype for name, module in ours.items()} == {
        "unet": torch.float16, "vae": torch.float32, "text_encoder": torch.float16, "text_encoder_2": torch.float16
    }  # fmt: skip


def test_the_catalog_and_the_manager(tmp_path: Path) -> None:
    shelf = tmp_path / "checkpoints"
    shelf.mkdir()
    toys_sdxl.save_file_of(shelf / "base.safetensors")
    toys_sdxl.save_file_of(shelf / "edit.safetensors", in_channels=8)
    toys_sdxl.save_folder(shelf / "refiner", refiner=True)
    catalog = Catalog([tmp_path])
    listed = {info.name: (info.family, info.tasks, info.native_size, info.broken) for info in catalog.checkpoints()}
    assert listed == {
        "base.safetensors": ("sdxl", ["txt2img", "img2img", "inpaint"], (1024, 1024), None),
        "edit.safetensors": ("sdxl", ["img2img"], (1024, 1024), None),
        "refiner": ("sdxl_refiner", ["img2img", "inpaint"], (64, 64), None),
    }
    assert catalog.recommended("base.safetensors")["width"] == 1024
    with PipelineManager(catalog).acquire("base.safetensors") as parts:
        assert parts.pipeline_config == {"force_zeros_for_empty_prompt": True}
        assert [parts.tokenizers[name].marks.pad for name in ("text_encoder", "text_encoder_2")] == [49407, 0]


UNETXL = {
    "block_out_channels": [320, 640, 1280], "cross_attention_dim": 2048, "attention_head_dim": [5, 10, 20], "layers_per_block": 2,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], "use_linear_projection": True,
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "in_channels": 4, "out_channels": 4, "norm_num_groups": 32,
}  # fmt: skip
REFINER = UNETXL | {
    "block_out_channels": [384, 768, 1536, 1536], "cross_attention_dim": 1280, "attention_head_dim": [6, 12, 24, 24],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "depths", "told", "count"), [(UNETXL, [1, 2, 10], 2816, 2_567_463_684), (REFINER, [4] * 4, 2560, 2_259_526_660)]
)
def test_true_unets_are_inferred_from_shapes(config: dict, depths: list[int], told: int, count: int) -> None:
    more = {"addition_embed_type": "text_time", "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": told}
    whole = {**config, **more, "transformer_layers_per_block": depths}
    with torch.device("meta"):
        state = UNet2DConditionModel.from_config(whole).state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == count
    names = dict(keys.unet(whole))
    assert set(names) == set(state)
    found = infer.unet({names[name]: tuple(tensor.shape) for name, tensor in state.items()}, None, 64)
    assert config.items() <= found.items()
    assert found["transformer_layers_per_block"][1:] == depths[1:]


def test_reading_takes_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    toys_sdxl.save_file_of(path)
    reading.checkpoint(path, FAMILIES)
    began = time.perf_counter()
    reading.checkpoint(path, FAMILIES)
    assert time.perf_counter() - began < 0.25
