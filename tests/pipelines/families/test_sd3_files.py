"""Stable Diffusion 3 on disk: names as diffusers' converter has them, folders and single files told apart and loaded."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import SD3Transformer2DModel
from diffusers.loaders.single_file_utils import convert_sd3_transformer_checkpoint_to_diffusers
from safetensors.torch import load_file, save_file

from pipelines.catalog import Catalog
from pipelines.errors import CheckpointError
from pipelines.families import FAMILIES, reading, sd3_keys
from pipelines.manager import PipelineManager
from pipelines.plan import EncodePrompt
from pipelines.prompts.grammar import schedule
from tests.pipelines.families import sd3_single
from tests.pipelines.families.sd3_toys import save_toy, toy_transformer
from tests.pipelines.families.t5_toys import toy_t5, toy_t5_tokenizer

KINDS = [{}, {"qk_norm": "rms_norm"}, {"qk_norm": "rms_norm", "dual_attention_layers": (0, 1)}]


def managed(path: Path, **given: object) -> PipelineManager:
    return PipelineManager(Catalog([path]), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS, ids=["sd3", "sd3.5 large", "sd3.5 medium"])
def test_names_are_those_of_diffusers_converter(kind: dict[str, object]) -> None:
    module = toy_transformer(**kind)
    state = module.state_dict()
    original = sd3_single.renamed(state, dict(sd3_keys.transformer(module.config)), "")
    shapes = {name: tuple(tensor.shape) for name, tensor in original.items()}
    converted = convert_sd3_transformer_checkpoint_to_diffusers(original)
    assert set(converted) == set(state) and all(torch.equal(converted[name], state[name]) for name in state)
    inferred = SD3Transformer2DModel.from_config(sd3_keys.infer(shapes) | {"sample_size": 8})
    assert {name: tensor.shape for name, tensor in inferred.state_dict().items()} == {name: tensor.shape for name, tensor in state.items()}


def test_the_published_configurations_are_read_off_their_shapes() -> None:
    """Stable Diffusion 3 medium, 3.5 large and 3.5 medium, as their config.json say."""
    for layers, heads, side, normed, dual in (
        (24, 24, 192, None, []),
        (38, 38, 192, "rms_norm", []),
        (24, 24, 384, "rms_norm", list(range(13))),
    ):
        config = {
            "sample_size": 128, "patch_size": 2, "in_channels": 16, "out_channels": 16, "num_layers": layers, "attention_head_dim": 64,
            "num_attention_heads": heads, "joint_attention_dim": 4096, "caption_projection_dim": 64 * heads,
            "pooled_projection_dim": 2048, "pos_embed_max_size": side, "dual_attention_layers": dual, "qk_norm": normed,
        }  # fmt: skip
        with torch.device("meta"):
            state = SD3Transformer2DModel.from_config(config).state_dict()
        original = sd3_single.renamed(state, dict(sd3_keys.transformer(config)), "")
        assert sd3_keys.infer({name: tuple(tensor.shape) for name, tensor in original.items()}) == config


@pytest.mark.parametrize("with_t5", [True, False])
def test_a_folder_is_loaded(tmp_path: Path, with_t5: bool) -> None:
    path = save_toy(tmp_path / "toy", with_t5=with_t5)
    with managed(tmp_path).acquire("toy") as components:
        assert components.family is FAMILIES["sd3"]
        assert ("text_encoder_3" in components.modules) is with_t5
        for name, module in components.modules.items():
            (file,) = (path / name).glob("*.safetensors")
            state = module.state_dict()
            assert all(torch.equal(state[key], tensor) for key, tensor in load_file(file).items())
        if with_t5:
            t5 = components.modules["text_encoder_3"]
            assert t5.encoder.embed_tokens is t5.shared
        assert not any(tensor.is_meta for module in components.modules.values() for tensor in module.state_dict().values())


def test_the_catalog_says_what_it_is(tmp_path: Path) -> None:
    save_toy(tmp_path / "whole")
    save_toy(tmp_path / "small", with_t5=False)
    small, whole = Catalog([tmp_path]).checkpoints()
    assert (whole.family, whole.broken, whole.summary) == ("sd3", None, "")
    assert whole.tasks == ["txt2img", "img2img", "inpaint"]
    assert whole.recommended == {
        "scheduler": "euler", "schedule": "automatic", "num_inference_steps": 28, "guidance_scale": 4.5, "width": 64, "height": 64
    }  # fmt: skip
    assert small.summary.startswith("This checkpoint has no T5 text encoder")


@pytest.mark.parametrize("kind", KINDS, ids=["sd3", "sd3.5 large", "sd3.5 medium"])
def test_a_single_file_gives_the_modules_it_was_made_of(tmp_path: Path, kind: dict[str, object]) -> None:
    made = sd3_single.save(tmp_path / "toy.safetensors", **kind)
    toy_t5_tokenizer(tmp_path / "tokenizer_3")
    with managed(tmp_path).acquire("toy.safetensors") as components:
        loaded = components.modules
        assert set(loaded) == set(made)
        for name in ("transformer", "vae", "text_encoder_2", "text_encoder_3"):
            state = made[name].state_dict()
            assert set(loaded[name].state_dict()) == set(state)
            assert all(torch.equal(tensor, state[key]) for key, tensor in loaded[name].state_dict().items())
        assert loaded["vae"].config.shift_factor == 0.0609 and loaded["vae"].config.scaling_factor == 1.5305
        tokens = torch.tensor([[49406, 320, 2368, 49407, 49407]])
        with torch.no_grad():
            ours, whole = loaded["text_encoder"](tokens), made["text_encoder"](tokens, output_hidden_states=True)
        assert torch.equal(ours.last_hidden_state, whole.last_hidden_state)
        assert torch.equal(ours.pooler_output, whole.last_hidden_state[:, 3])  # without the projection that the file carries


def test_t5_without_a_vocabulary_stays_out_and_the_catalog_says_so(tmp_path: Path) -> None:
    sd3_single.save(tmp_path / "toy.safetensors")
    catalog = Catalog([tmp_path])
    assert "carries T5 and no vocabulary for it" in catalog.checkpoint("toy.safetensors").summary
    with PipelineManager(catalog).acquire("toy.safetensors") as components:
        assert "text_encoder_3" not in components.modules
        part = schedule("a red cat", 4, "a1111")[0].parts[0]
        told = components.family.encode(components, (part,), EncodePrompt(("",), ("",), True, 0, "a1111", "original", 4, 64, 64))
        assert told["encoder_hidden_states"].shape == (1, 77 + 256, 24)
        assert not told["encoder_hidden_states"][:, 77:].any() and told["encoder_hidden_states"][:, :77].any()


def test_eight_bit_files_are_cast_and_scaled_ones_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy.safetensors"
    made = sd3_single.save(path, torch.float8_e4m3fn, with_t5=False)
    with managed(tmp_path).acquire("toy.safetensors") as components:
        weight = components.denoiser.proj_out.weight
        assert weight.dtype == torch.float32
        assert torch.equal(weight, made["transformer"].proj_out.weight.to(torch.float8_e4m3fn).float())
    save_file(load_file(path) | {"model.diffusion_model.final_layer.linear.scale_weight": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="scaled 8-bit floats"):
        reading.checkpoint(path, FAMILIES)


def test_half_precision_keeps_the_layers_of_t5_that_overflow(tmp_path: Path) -> None:
    save_toy(tmp_path / "toy")
    with managed(tmp_path, dtype=torch.float16).acquire("toy") as components:
        t5 = components.modules["text_encoder_3"]
        kept = {name for name, tensor in t5.state_dict().items() if tensor.dtype == torch.float32}
        assert kept == {f"encoder.block.{block}.layer.1.DenseReluDense.wo.weight" for block in (0, 1)}
        assert {tensor.dtype for tensor in components.denoiser.parameters()} == {torch.float16}
        with torch.no_grad():
            assert torch.isfinite(t5(torch.tensor([[3, 4, 1, 0]]))[0]).all()


@pytest.mark.parametrize(
    ("without", "sentence"),
    [
        ("clip_g", "carries no text encoders"),
        ("first_stage_model", "carries no VAE"),
        ("joint_blocks.1.context_block.attn.proj.bias", "its transformer lacks"),
        ("context_embedder", "its transformer lacks weights"),
        ("clip_l.transformer.text_model.final_layer_norm", "its text_encoder lacks"),
    ],
)
def test_incomplete_files_are_told_in_a_sentence(tmp_path: Path, without: str, sentence: str) -> None:
    sd3_single.save(tmp_path / "toy.safetensors", without=without, with_t5=False)
    with pytest.raises(CheckpointError, match=sentence):
        reading.checkpoint(tmp_path / "toy.safetensors", FAMILIES)


def test_damaged_folders_are_told_in_a_sentence(tmp_path: Path) -> None:
    whole = save_toy(tmp_path / "toy")
    cases = {
        "tokenizer_3": r"has no T5 tokenizer \(tokenizer_3/tokenizer.json or spiece.model\)",
        "text_encoder_3": r"text_encoder_3/config\.json is missing",
        "tokenizer_2": "has no tokenizer",
        "transformer": "is missing",
    }
    for missing, sentence in cases.items():
        path = Path(shutil.copytree(whole, tmp_path / f"without-{missing}"))
        shutil.rmtree(path / missing)
        with pytest.raises(CheckpointError, match=sentence):
            reading.checkpoint(path, FAMILIES)
    config = json.loads((whole / "transformer" / "config.json").read_text()) | {"in_channels": 20}
    (whole / "transformer" / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="takes 20 channels where its VAE has 16"):
        reading.checkpoint(whole, FAMILIES)


@pytest.mark.parametrize("folder", [False, True])
def test_t5_from_the_shelf_completes_a_checkpoint_that_comes_without(tmp_path: Path, folder: bool) -> None:
    name = "toy" if folder else "toy.safetensors"
    shelf, checkpoints = tmp_path / "text_encoders", tmp_path / "checkpoints"
    shelf.mkdir(), checkpoints.mkdir()
    if folder:
        save_toy(checkpoints / name, with_t5=False)
    else:
        sd3_single.save(checkpoints / name, with_t5=False)
    catalog = Catalog([tmp_path])
    assert "no T5 text encoder" in catalog.checkpoint(name).summary
    weights, narrow = (
        {key: tensor.clone() for key, tensor in toy_t5(width).state_dict().items() if "embed_tokens" not in key} for width in (24, 16)
    )
    save_file(weights, shelf / "t5.safetensors")
    save_file(narrow, shelf / "narrow.safetensors")
    assert "t5.safetensors would be its T5 text encoder, but" in catalog.checkpoint(name).summary
    toy_t5_tokenizer(shelf / "tokenizer_3")
    (shelf / "t5.safetensors").touch()
    assert catalog.checkpoint(name).summary == "T5 from t5.safetensors."
    with PipelineManager(catalog).acquire(name) as components:
        loaded = components.modules["text_encoder_3"].state_dict()
        assert all(torch.equal(loaded[key], tensor) for key, tensor in weights.items())
        assert components.tokenizers["text_encoder_3"]("a cat")["input_ids"]
    save_file(weights, shelf / "other.safetensors")
    assert "Several T5 text encoders would fit" in catalog.checkpoint(name).summary
