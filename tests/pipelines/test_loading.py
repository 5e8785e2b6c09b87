"""Modules from files: folders in every form that diffusers writes, single files, VAEs, tiny decoders; broken ones as one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from pipelines import loading
from pipelines.errors import CheckpointError
from pipelines.families import FAMILIES, reading
from tests.pipelines import ldm_files
from tests.toys import save_toy

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy(tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture
def copy(toy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy, tmp_path / "copy"))


def modules(path: Path, dtype: torch.dtype = torch.float32) -> dict[str, torch.nn.Module]:
    parted = reading.checkpoint(path, FAMILIES)
    return {name: loading.load(part, path.name, CPU, dtype) for name, part in parted.parts.items()}


def assert_same(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    a, b = ours.state_dict(), theirs.state_dict()
    assert set(a) == set(b)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_folder_equals_what_diffusers_loads(toy: Path) -> None:
    theirs = StableDiffusionPipeline.from_pretrained(toy, safety_checker=None, local_files_only=True)
    ours = modules(toy)
    for name in ("unet", "vae", "text_encoder"):
        assert_same(ours[name], getattr(theirs, name))
        assert not ours[name].training and not any(parameter.requires_grad for parameter in ours[name].parameters())
    ids = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.equal(ours["text_encoder"](ids)[0], theirs.text_encoder(ids)[0])


def shard(folder: Path) -> None:
    """As diffusers shards: two files and an index."""
    whole = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(whole)
    names = sorted(tensors)
    parts = {f"diffusion_pytorch_model-0000{n + 1}-of-00002.safetensors": names[n::2] for n in range(2)}
    for file, held in parts.items():
        save_file({name: tensors[name] for name in held}, folder / file)
    index = {"metadata": {}, "weight_map": {name: file for file, held in parts.items() for name in held}}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    whole.unlink()


def variant(folder: Path) -> None:
    (folder / "diffusion_pytorch_model.safetensors").rename(folder / "diffusion_pytorch_model.fp16.safetensors")


@pytest.mark.parametrize("form", [shard, variant])
def test_shards_and_variants(toy: Path, copy: Path, form: Callable[[Path], None]) -> None:
    form(copy / "unet")
    assert_same(modules(copy)["unet"], modules(toy)["unet"])


def test_names_of_old_libraries(toy: Path, copy: Path) -> None:
    """transformers before 5.6 wrote a prefix, diffusers before 0.17 other names in the VAE's attention."""
    text = copy / "text_encoder" / "model.safetensors"
    save_file({f"text_model.{name}": tensor for name, tensor in load_file(text).items()}, text)
    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(weights)
    for new, name in old.items():
        tensors = {key.replace(f"attentions.0.{new}.", f"attentions.0.{name}."): tensor for key, tensor in tensors.items()}
    save_file(tensors, weights)
    ours, theirs = modules(copy), modules(toy)
    assert_same(ours["text_encoder"], theirs["text_encoder"])
    assert_same(ours["vae"], theirs["vae"])


@pytest.mark.parametrize("stored", [torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(tmp_path: Path, stored: torch.dtype) -> None:
    path = save_toy(tmp_path / "toy", dtype=stored)
    for wanted in (torch.float32, torch.bfloat16):
        unet = modules(path, wanted)["unet"]
        assert {parameter.dtype for parameter in unet.parameters()} == {wanted}


@pytest.mark.parametrize("open_clip", [False, True], ids=["sd1", "sd2"])
@pytest.mark.parametrize("stored", [torch.float32, torch.float16])
def test_single_files(tmp_path: Path, open_clip: bool, stored: torch.dtype) -> None:
    path = tmp_path / "model.safetensors"
    theirs = ldm_files.save(path, open_clip=open_clip, dtype=stored)
    parted = reading.checkpoint(path, FAMILIES)
    assert parted.family is FAMILIES["sd2" if open_clip else "sd1"]
    ours = modules(path)
    for name, module in theirs.items():
        assert_same(ours[name], module.to(stored).float())
    latents, states, ids = torch.randn(1, 4, 8, 8), torch.randn(1, 7, 16), torch.arange(77)[None]
    with torch.no_grad():  # heads, groups and activation were inferred rightly; mapped weights lie unaligned, which rounds otherwise
        torch.testing.assert_close(ours["unet"](latents, 3, states).sample, theirs["unet"](latents, 3, states).sample)
        torch.testing.assert_close(ours["vae"].decode(latents).sample, theirs["vae"].decode(latents).sample)
        torch.testing.assert_close(ours["text_encoder"](ids)[0], theirs["text_encoder"](ids)[0])
    assert ours["vae"].config.scaling_factor == 0.18215


def test_prediction_type_of_single_files(tmp_path: Path) -> None:
    def told(path: Path) -> str:
        return loading.scheduler_config(reading.checkpoint(path, FAMILIES), path)["prediction_type"]

    path = tmp_path / "model.safetensors"
    ldm_files.save(path)
    assert told(path) == "epsilon"
    path.with_suffix(".yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
    assert told(path) == "v_prediction"
    marked = tmp_path / "marked.safetensors"
    save_file({**load_file(path), "v_pred": torch.zeros(0)}, marked)
    assert told(marked) == "v_prediction"


@pytest.mark.parametrize(("spread", "told"), [(0.01, "epsilon"), (0.2, "v_prediction")])
def test_prediction_type_by_the_spread_of_a_weight(tmp_path: Path, spread: float, told: str) -> None:
    path = tmp_path / "model.safetensors"
    ldm_files.save(path, open_clip=True)
    mark = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
    save_file({**load_file(path), mark: torch.tensor([-spread, spread] * 4)}, path)
    assert loading.scheduler_config(reading.checkpoint(path, FAMILIES), path)["prediction_type"] == told


@pytest.mark.parametrize(
    ("without", "sentence"),
    [
        ("middle_block.1.transformer_blocks.0.attn1.to_k.weight", "unet lacks 'model.diffusion_model.middle_block.1"),
        ("output_blocks", "unet lacks"),
        ("input_blocks.0.0.weight", "has no UNet"),
        ("decoder.mid.block_1.norm2.bias", "vae lacks 'first_stage_model"),
        ("first_stage_model", "carries no VAE"),
        ("cond_stage_model", "carries no text encoder"),
        ("layers.1.mlp.fc1.bias", "text_encoder lacks"),
    ],
)
def test_what_a_single_file_lacks_is_named(tmp_path: Path, without: str, sentence: str) -> None:
    path = tmp_path / "model.safetensors"
    ldm_files.save(path, without=without)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        reading.checkpoint(path, FAMILIES)
    assert str(caught.value).startswith("model.safetensors ") and str(caught.value).endswith(".")


@pytest.mark.parametrize("component", ["unet", "vae", "text_encoder"])
def test_what_a_folder_lacks_is_named(copy: Path, component: str) -> None:
    weights = next((copy / component).glob("*.safetensors"))
    tensors = load_file(weights)
    lost = sorted(tensors)[len(tensors) // 2]
    save_file({name: tensor for name, tensor in tensors.items() if name != lost}, weights)
    with pytest.raises(CheckpointError, match=f"copy is incomplete: its {component} lacks '{lost}'"):
        reading.checkpoint(copy, FAMILIES)


def test_a_misshapen_weight_is_named(copy: Path) -> None:
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({**load_file(weights), "conv_in.weight": torch.zeros(4, 8, 3, 3)}, weights)
    with pytest.raises(CheckpointError, match=r"unet weight 'conv_in.weight' of shape \(4, 8, 3, 3\)"):
        modules(copy)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_named(copy: Path, bad: float) -> None:
    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["decoder.conv_in.bias"][1] = bad
    save_file(tensors, weights)
    with pytest.raises(CheckpointError, match=r"'decoder\.conv_in\.bias' of its vae is not finite"):
        modules(copy)


def test_a_file_cut_after_listing_is_not_mapped(copy: Path) -> None:
    parted = reading.checkpoint(copy, FAMILIES)
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="has changed"):
        loading.load(parted.parts["unet"], "copy", CPU, torch.float32)
    weights.unlink()
    with pytest.raises(CheckpointError, match="no longer there"):
        loading.load(parted.parts["unet"], "copy", CPU, torch.float32)


def test_a_configuration_cannot_name_code(copy: Path) -> None:
    config = json.loads((copy / "text_encoder" / "config.json").read_text())
    config |= {"_attn_implementation": "somewhere/kernels", "attn_implementation": "somewhere/kernels", "auto_map": {"AutoModel": "x.Y"}}
    (copy / "text_encoder" / "config.json").write_text(json.dumps(config))
    assert modules(copy)["text_encoder"].config._attn_implementation == "sdpa"


def test_other_kinds_of_files_are_named(tmp_path: Path) -> None:
    kinds = {
        "lora_unet_down_blocks_0.lora_down.weight": "LoRA",
        "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight": "Stable Diffusion XL",
        "control_model.input_blocks.0.0.weight": "ControlNet",
        "time_embedding.linear_1.weight": r"is a denoiser alone \(diffusers layout\), not a whole checkpoint\.",
        "something": "no UNet",
    }
    for name, word in kinds.items():
        path = tmp_path / "model.safetensors"
        save_file({name: torch.zeros(1)}, path)
        with pytest.raises(CheckpointError, match=word):
            reading.checkpoint(path, FAMILIES)
        with pytest.raises(CheckpointError, match="is not a VAE"):
            reading.vae(path)


def test_an_inpainting_checkpoint_can_only_inpaint_and_a_depth_checkpoint_says_what_it_is(tmp_path: Path) -> None:
    assert reading.checkpoint(save_toy(tmp_path / "inpainting", in_channels=9), FAMILIES).tasks == ("inpaint",)
    with pytest.raises(CheckpointError, match="takes 5 channels where its VAE has 4"):
        reading.checkpoint(save_toy(tmp_path / "depth", in_channels=5), FAMILIES)


def test_numpy_views_stay_out_of_the_file(toy: Path) -> None:
    """Weights are mapped, not copied; writing to them must never reach the checkpoint."""
    weights = toy / "unet" / "diffusion_pytorch_model.safetensors"
    before = weights.read_bytes()
    unet = modules(toy)["unet"]
    unet.conv_in.weight.mul_(2)
    assert not np.array_equal(unet.conv_in.weight.numpy(), load_file(weights)["conv_in.weight"].numpy())
    assert weights.read_bytes() == before
