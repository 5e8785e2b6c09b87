"""What is told of LoRAs and textual inversions from their headers: kind, ranks, family, words, and what is broken."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pipelines.adapters import embedding, guess, lora_info, naming
from pipelines.errors import CheckpointError
from tests.pipelines.adapters import files
from tests.toys import toy_components


def pair(stem: str, out: int, inside: int, rank: int = 4) -> dict[str, Tensor]:
    return {f"{stem}.lora_down.weight": torch.zeros(rank, inside), f"{stem}.lora_up.weight": torch.zeros(out, rank)}


def cross(width: int) -> dict[str, Tensor]:
    return pair("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v", 64, width)


def test_a_kohya_file(tmp_path: Path) -> None:
    parts = toy_components(tmp_path / "toy")
    tensors = files.kohya({"lora_unet": parts["unet"], "lora_te": parts["text_encoder"]}, files.everything)
    metadata = {
        "ss_output_name": "ink_v2",
        "ss_base_model_version": "sd_v1",
        "ss_sd_model_name": "model.safetensors",
        "modelspec.trigger_phrase": "inkwash, monochrome",
        "ss_tag_frequency": json.dumps({"5_ink": {"inkwash": 30, "1girl": 12}, "reg": {"1girl": 5, "bad": "x"}}),
    }
    info = lora_info.inspect(files.save(tmp_path / "ink.safetensors", tensors | {"odd": torch.zeros(1)}, metadata))
    assert info.broken is None
    assert (info.kind, info.ranks, info.family, info.text_width) == ("LoRA + LoCon", (3,), "sd1", 16)
    assert info.parts.keys() == {"denoiser", "text_encoder"} and info.unknown == 1
    assert (info.title, info.alias, info.base_model) == ("ink_v2", "ink_v2", "sd_v1")
    assert info.trigger_words == ("inkwash", "monochrome")
    assert info.tags == (("inkwash", 30), ("1girl", 17))


@pytest.mark.parametrize(
    ("tensors", "metadata", "family"),
    [
        (cross(768), {}, "sd1"),
        (cross(1024), {}, "sd2"),
        (cross(2048), {}, "sdxl"),
        (cross(1280), {}, "sdxl_refiner"),
        (pair("lora_te_text_model_encoder_layers_0_self_attn_q_proj", 768, 768), {}, "sd1"),
        (pair("lora_te_text_model_encoder_layers_0_self_attn_q_proj", 1024, 1024), {}, "sd2"),
        (pair("lora_te2_text_model_encoder_layers_0_self_attn_q_proj", 1280, 1280), {}, "sdxl"),
        (pair("lora_unet_joint_blocks_0_x_block_attn_proj", 64, 64), {}, "sd3"),
        (pair("transformer.transformer_blocks.0.attn.add_q_proj", 64, 64), {}, "sd3"),
        (pair("lora_unet_double_blocks_0_img_attn_proj", 64, 64), {}, "flux"),
        (pair("lora_unet_conv_in", 64, 64), {"ss_base_model_version": "sdxl_base_v1-0"}, "sdxl"),
        (pair("lora_unet_conv_in", 64, 64), {"modelspec.architecture": "stable-diffusion-v2-768-v/lora"}, "sd2"),
        (pair("lora_unet_conv_in", 64, 64), {}, None),
    ],
)
def test_the_family_is_guessed(tmp_path: Path, tensors: dict[str, Tensor], metadata: dict[str, str], family: str | None) -> None:
    assert lora_info.inspect(files.save(tmp_path / "f.safetensors", tensors, metadata)).family == family


def test_kinds(tmp_path: Path) -> None:
    stem = "lora_unet_mid_block_attentions_0_proj_in"
    hada = {f"{stem}.hada_w{half}_{side}": torch.zeros(8, 8) for half in "12" for side in "ab"}
    for kind, tensors in {
        "LoHa": hada,
        "LoKr": {f"{stem}.lokr_w1": torch.zeros(2, 2), f"{stem}.lokr_w2": torch.zeros(4, 4)},
        "DoRA": pair(stem, 8, 8) | {f"{stem}.dora_scale": torch.ones(8, 1)},
        "IA3": {f"{stem}.weight": torch.ones(8), f"{stem}.on_input": torch.tensor(1)},
        "full difference": {f"{stem}.diff": torch.zeros(8, 8), f"{stem}.diff_b": torch.zeros(8)},
        "norms": {"lora_unet_conv_norm_out.w_norm": torch.zeros(8), "lora_unet_conv_norm_out.b_norm": torch.zeros(8)},
    }.items():
        info = lora_info.inspect(files.save(tmp_path / "k.safetensors", tensors))
        assert (info.kind, info.parts, info.unknown, info.broken) == (kind, {"denoiser": 1}, 0, None)


@pytest.mark.parametrize(
    "tensors",
    [
        {"lora_unet_x.lora_down.weight": torch.zeros(4, 8)},
        {"lora_unet_x.lora_down.weight": torch.zeros(4, 8), "lora_unet_x.lora_up.weight": torch.zeros(8, 5)},
        {"lora_unet_x.lora_down.weight": torch.zeros(4, 8), "lora_unet_x.lora_up.weight": torch.zeros(8)},
        {"lora_unet_x.lora_down.weight": torch.zeros(0, 8), "lora_unet_x.lora_up.weight": torch.zeros(0, 0)},
        {"lora_unet_x.lora_down.weight": torch.zeros(4, 8), "lora_unet_x.lora_up.weight": torch.zeros(8, 4, dtype=torch.int8)},
        {"lora_unet_x.lokr_w1": torch.zeros(4, 8), "lora_unet_x.lokr_w2_a": torch.zeros(4, 8)},
        {"lora_unet_x.alpha": torch.tensor(1.0)},
        {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(8, 4, 3, 3)},
        {"emb_params": torch.zeros(2, 768)},
    ],
)
def test_what_is_no_lora(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    info = lora_info.inspect(files.save(tmp_path / "n.safetensors", tensors))
    assert info.broken is not None and info.broken.startswith("n.safetensors is no LoRA: none of its")


def test_broken_files_and_metadata(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no safetensors at all")
    assert "not a safetensors file" in (lora_info.inspect(tmp_path / "text.safetensors").broken or "")
    assert "is no longer there" in (lora_info.inspect(tmp_path / "none.safetensors").broken or "")
    (tmp_path / "x.pt").write_bytes(b"")
    assert "is a pickle" in (lora_info.inspect(tmp_path / "x.pt").broken or "")
    metadata = {"ss_tag_frequency": "[[", "lora_adapter_metadata": '{"unet.lora_alpha": "four"}', "modelspec.title": "a\nb"}
    info = lora_info.inspect(files.save(tmp_path / "m.safetensors", cross(768), metadata))
    assert (info.broken, info.tags, info.title) == (None, (), "a\ufffdb")


@given(
    st.text(max_size=60) | st.from_regex(r"(lora_unet_|unet\.|text_encoder\.)?[a-z_.]{0,20}(\.lora_(down|A)(\.x)?\.weight|\.alpha|\.diff)")
)
def test_any_name_is_taken_apart_or_not(name: str) -> None:
    found = naming.split(name)
    assert found is None or (found.module and found.slot and "." not in found.module)


def embeddings(path: Path, tensors: dict[str, Tensor]) -> embedding.EmbeddingInfo:
    return embedding.inspect(files.save(path, tensors))


def test_textual_inversions(tmp_path: Path) -> None:
    vectors = torch.randn(3, 768)
    info = embeddings(tmp_path / "badhands.safetensors", {"emb_params": vectors.half()})
    assert (info.name, info.vectors, info.widths, info.family, info.broken) == ("badhands", 3, {"": 768}, "sd1", None)
    loaded = embedding.load(tmp_path / "badhands.safetensors")
    assert torch.equal(loaded[""], vectors.half().float())
    assert torch.equal(embedding.for_encoder(loaded, "text_encoder", 768), loaded[""])  # type: ignore[arg-type]
    assert embedding.for_encoder(loaded, "text_encoder", 1024) is None
    assert embedding.for_encoder(loaded, "text_encoder_3", 768) is None

    info = embeddings(tmp_path / "cat.safetensors", {"<cat-toy>": vectors[0].contiguous()})
    assert (info.vectors, info.widths, info.family) == (1, {"": 768}, "sd1")
    assert embedding.load(tmp_path / "cat.safetensors")[""].shape == (1, 768)

    info = embeddings(tmp_path / "xl.safetensors", {"clip_l": vectors, "clip_g": torch.randn(3, 1280)})
    assert (info.vectors, info.widths, info.family) == (3, {"clip_l": 768, "clip_g": 1280}, "sdxl")
    loaded = embedding.load(tmp_path / "xl.safetensors")
    assert torch.equal(embedding.for_encoder(loaded, "text_encoder", 768), vectors)  # type: ignore[arg-type]
    assert torch.equal(embedding.for_encoder(loaded, "text_encoder_2", 1280), loaded["clip_g"])  # type: ignore[arg-type]


def test_textual_inversions_as_diffusers_reads_them(tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    parts: dict[str, Any] = toy_components(tmp_path / "toy")
    path = files.save(tmp_path / "word.safetensors", {"emb_params": torch.randn(2, 16)})
    pipeline = StableDiffusionPipeline(**parts)
    pipeline.load_textual_inversion(str(tmp_path), weight_name="word.safetensors", token="word", local_files_only=True)
    theirs = parts["text_encoder"].get_input_embeddings().weight[-2:]
    assert torch.equal(embedding.for_encoder(embedding.load(path), "text_encoder", 16), theirs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({"emb_params": torch.zeros(76, 768)}, "has 76 vectors; at most 75 fit into a prompt."),
        ({"emb_params": torch.zeros(2, 3, 4)}, "is no textual inversion: 'emb_params' of shape (2, 3, 4) is no list of vectors."),
        ({"a": torch.zeros(4), "b": torch.zeros(4)}, "is no textual inversion: 2 tensors are there, and not one of vectors alone."),
        ({"x": torch.zeros(2, 4, dtype=torch.int64)}, "is no textual inversion: 'x' of shape (2, 4) is no list of vectors."),
    ],
)
def test_what_is_no_textual_inversion(tmp_path: Path, tensors: dict[str, Tensor], sentence: str) -> None:
    assert embeddings(tmp_path / "w.safetensors", tensors).broken == f"w.safetensors {sentence}"


def test_damaged_textual_inversions(tmp_path: Path) -> None:
    path = files.save(tmp_path / "nan.safetensors", {"emb_params": torch.full((1, 4), float("nan"))})
    with pytest.raises(CheckpointError, match="vectors are not finite"):
        embedding.load(path)
    (tmp_path / "old.pt").write_bytes(b"")
    assert "is a pickle" in (embedding.inspect(tmp_path / "old.pt").broken or "")


def test_the_page_may_use_all_this_without_torch() -> None:
    modules = "lora_info, embedding, guess, naming, changes, shelf, sidecar"
    check = f"import sys; from pipelines.adapters import {modules}; print({{'torch', 'diffusers', 'transformers'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize(
    ("words", "family"),
    [
        ("SD1", "sd1"),
        ("SD 1.5", "sd1"),
        ("SDXL 1.0", "sdxl"),
        ("Stable Diffusion 2.1", "sd2"),
        ("SD 3.5 Large", "sd3"),
        ("Pony", None),
        ("", None),
    ],
)
def test_words_for_a_base_model_name_its_family(words: str, family: str | None) -> None:
    assert guess.by_words(words) == family
