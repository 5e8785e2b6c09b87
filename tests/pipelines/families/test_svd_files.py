"""Stable Video Diffusion on disk: folders and single files are recognised from their headers and give the same weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from pipelines import headers
from pipelines.catalog import Catalog
from pipelines.errors import CheckpointError
from pipelines.families import FAMILIES, svd_files, svd_keys
from pipelines.manager import PipelineManager
from pipelines.samplers import trained
from tests.pipelines.families.svd_toys import FRAMES, save_toy_svd, toy_svd


def true_sizes() -> dict[str, torch.nn.Module]:
    """The published model, without memory for its weights."""
    vision = CLIPVisionConfig(
        hidden_size=1280, intermediate_size=5120, projection_dim=1024, num_hidden_layers=32, num_attention_heads=16, patch_size=14,
        image_size=224, hidden_act="gelu",
    )  # fmt: skip
    with init_empty_weights():
        return {
            "unet": UNetSpatioTemporalConditionModel(),
            "vae": AutoencoderKLTemporalDecoder(
                block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4, layers_per_block=2
            ),
            "image_encoder": CLIPVisionModelWithProjection(vision),
        }


def named(modules: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights by the names that a single file has for them; behind a colon, what is done to the file's."""
    unet, vae, vision = (modules[name] for name in ("unet", "vae", "image_encoder"))
    pairs = [
        (unet, [(name, svd_files.UNET + old) for name, old in svd_keys.unet(unet.config)]),
        (vae, [*svd_keys.vae(vae.config, svd_files.ENCODER, svd_files.DECODER)]),
        (vision, [(name, svd_files.VISION + old) for name, old in svd_keys.vision(vision.config.to_dict())]),
    ]
    found = {}
    for module, names in pairs:
        state = module.state_dict()
        assert {name for name, _ in names} == set(state)
        found |= {old: state[name] for name, old in names}
    return found


def single_file(modules: dict[str, Any], path: Path) -> Path:
    """The modules as one file in the layout in which the model was published."""
    weights = named(modules)
    whole = {old.removesuffix(":transposed"): tensor.T if ":" in old else tensor for old, tensor in weights.items() if old[-2] != ":"}
    for old in {old[:-2] for old in weights if old[-2] == ":"}:
        whole[old] = torch.cat([weights[f"{old}:{third}"] for third in range(3)])
    extra = {"conditioner.embedders.1.logvar": torch.zeros(1), "first_stage_model.encoder.conv_in.weight": torch.ones(1)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in (whole | extra).items()}, path)
    return path


def test_true_configurations_are_inferred_from_shapes() -> None:
    modules = true_sizes()
    weights = named(modules)
    shapes = {old: tuple(tensor.shape) for old, tensor in weights.items() if ":" not in old}
    shapes |= {old[:-2]: (3 * tensor.shape[0], *tensor.shape[1:]) for old, tensor in weights.items() if old.endswith(":0")}
    shapes[svd_files.VISION + "proj"] = (1280, 1024)
    infos = {name: headers.TensorInfo("F16", shape, 0, 0) for name, shape in shapes.items()}
    header = headers.Header(headers.Stamp(Path("svd_xt.safetensors"), 0, 0), infos)
    parted = svd_files.file(FAMILIES["svd"], header)
    assert parted is not None and not any(part.missing for part in parted.parts.values())
    for name, keys in (
        ("unet", ("block_out_channels", "down_block_types", "up_block_types", "num_attention_heads", "cross_attention_dim", "in_channels",
                  "addition_time_embed_dim", "projection_class_embeddings_input_dim")),
        ("vae", ("block_out_channels", "layers_per_block", "latent_channels", "scaling_factor", "force_upcast")),
        ("image_encoder", ("hidden_size", "num_attention_heads", "num_hidden_layers", "image_size", "patch_size", "projection_dim")),
    ):  # fmt: skip
        config = modules[name].config
        wanted = config.to_dict() if hasattr(config, "to_dict") else dict(config)
        found = parted.parts[name].config
        assert {key: found[key] for key in keys} == {key: [*value] if isinstance(value := wanted[key], tuple) else value for key in keys}
    assert parted.recommended == {"num_frames": 25}


@pytest.fixture(scope="module")
def modules() -> dict[str, Any]:
    """Wide enough for heads as wide as the published model's, and as deep where its classes count on that."""
    torch.manual_seed(0)
    parts = toy_svd()
    wide = {**parts["unet"].config, "block_out_channels": (64, 64), "num_attention_heads": (1, 1)}
    vision = CLIPVisionConfig(**{**parts["image_encoder"].config.to_dict(), "num_attention_heads": 1, "hidden_act": "gelu"})
    unet = UNetSpatioTemporalConditionModel.from_config(wide)
    deep = AutoencoderKLTemporalDecoder.from_config({**parts["vae"].config, "layers_per_block": 2})
    return {**parts, "unet": unet.eval(), "vae": deep.eval(), "image_encoder": CLIPVisionModelWithProjection(vision).eval()}


def same_weights(loaded: Any, modules: dict[str, Any]) -> None:
    for name in ("unet", "vae", "image_encoder"):
        state, wanted = loaded.modules[name].state_dict(), modules[name].state_dict()
        assert state.keys() == wanted.keys() and all(torch.equal(state[key], wanted[key]) for key in wanted)


def test_a_single_file_is_listed_and_loaded(tmp_path: Path, modules: dict[str, Any]) -> None:
    single_file(modules, tmp_path / "checkpoints" / "svd.safetensors")
    catalog = Catalog([tmp_path])
    info = catalog.checkpoint("svd.safetensors")
    assert (info.family, info.tasks, info.native_size, info.recommended["num_frames"]) == ("svd", ["img2vid"], (1024, 576), 14)
    with PipelineManager(catalog).acquire("svd.safetensors") as loaded:
        same_weights(loaded, modules)
        assert loaded.scheduler_config["sigma_max"] == 700 and trained(loaded.scheduler_config, "svd").automatic == "karras"


def test_a_folder_is_listed_and_loaded(tmp_path: Path) -> None:
    save_toy_svd(tmp_path / "checkpoints" / "toy")
    catalog = Catalog([tmp_path])
    info = catalog.checkpoint("toy")
    assert (info.family, info.tasks, info.recommended["num_frames"]) == ("svd", ["img2vid"], FRAMES)
    with PipelineManager(catalog).acquire("toy") as loaded:
        same_weights(loaded, toy_svd())


def test_a_file_that_lacks_something_says_what(tmp_path: Path, modules: dict[str, Any]) -> None:
    less = {old: tensor for old, tensor in named(modules).items() if ":" not in old and ".time_stack.0.norm_in." not in old}
    save_file({name: tensor.contiguous() for name, tensor in less.items()}, tmp_path / "less.safetensors")
    with pytest.raises(CheckpointError, match=r"less.safetensors is incomplete"):
        Catalog([tmp_path])._read(tmp_path / "less.safetensors")


def test_pictures_are_made_by_others_and_clips_by_it(tmp_path: Path) -> None:
    from tests.toys import save_toy

    save_toy(tmp_path / "checkpoints" / "z-toy")
    save_toy_svd(tmp_path / "checkpoints" / "a-svd")
    catalog = Catalog([tmp_path])
    assert (catalog.default_checkpoint(), catalog.default_checkpoint("img2vid")) == ("z-toy", "a-svd")
