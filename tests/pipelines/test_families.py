"""Prompts into embeddings as diffusers does, names and configurations as diffusers' converters do, families told apart."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint, convert_open_clip_checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTextConfig, CLIPTextModel

from pipelines.components import Components
from pipelines.errors import InvalidRequest
from pipelines.families import FAMILIES, Signature, infer, keys, vocabulary
from tests.pipelines import ldm_files
from tests.toys import toy_components

SD1, SD2 = FAMILIES["sd1"], FAMILIES["sd2"]


def parts_of(pipeline: StableDiffusionPipeline) -> Components:
    return Components(
        "toy", "automatic", SD1, pipeline.tokenizer, pipeline.text_encoder, pipeline.unet, pipeline.vae, pipeline.scheduler.config,
        torch.device("cpu"), torch.float32,
    )  # fmt: skip


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(**toy_components(tmp_path_factory.mktemp("tokenizer")))


@pytest.mark.parametrize("prompt", ["", "a cat", "CAT, dog; 42 ünïcode", "x" * 75])
def test_up_to_75_tokens_equal_diffusers_to_the_bit(pipeline: StableDiffusionPipeline, prompt: str) -> None:
    theirs, _ = pipeline.encode_prompt(prompt, "cpu", 1, False)
    ours = SD1.encode_prompt(parts_of(pipeline), prompt)
    assert torch.equal(ours["encoder_hidden_states"], theirs)


def test_longer_prompts_are_chunks_of_75(pipeline: StableDiffusionPipeline) -> None:
    parts = parts_of(pipeline)
    first, second = " ".join("abcde" * 15), " ".join("xyz")
    chunks = [SD1.encode_prompt(parts, text)["encoder_hidden_states"] for text in (first, second)]
    together = SD1.encode_prompt(parts, f"{first} {second}")["encoder_hidden_states"]
    assert together.shape == (1, 154, 16)
    assert torch.equal(together, torch.cat(chunks, dim=1))


@pytest.mark.parametrize("skip", [1, 2])
def test_clip_skip_is_the_earlier_layer_normalised(pipeline: StableDiffusionPipeline, skip: int) -> None:
    """As diffusers means it: computed here layer by layer, since its own code does not run on this transformers."""
    encoder = pipeline.text_encoder
    ids = pipeline.tokenizer("a cat", padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        shorter = CLIPTextModel(CLIPTextConfig(**{**encoder.config.to_dict(), "num_hidden_layers": 3 - skip})).eval()
        shorter.load_state_dict(encoder.state_dict(), strict=False)
        direct = shorter(ids)[0]
    ours = SD1.encode_prompt(parts_of(pipeline), "a cat", skip)["encoder_hidden_states"]
    assert torch.equal(ours, direct)
    assert not torch.equal(ours, SD1.encode_prompt(parts_of(pipeline), "a cat")["encoder_hidden_states"])


def test_clip_skip_beyond_the_encoder_is_a_sentence(pipeline: StableDiffusionPipeline) -> None:
    with pytest.raises(InvalidRequest, match=r"3 layers.*got 3") as caught:
        SD1.encode_prompt(parts_of(pipeline), "a cat", 3)
    assert caught.value.field == "clip_skip"


def test_the_attention_mask_is_used_where_the_encoder_asks_for_it(pipeline: StableDiffusionPipeline) -> None:
    masked = CLIPTextModel(CLIPTextConfig(**pipeline.text_encoder.config.to_dict())).eval()
    masked.config.use_attention_mask = True
    asking = StableDiffusionPipeline(**{**pipeline.components, "text_encoder": masked}, requires_safety_checker=False)
    theirs, _ = asking.encode_prompt("a cat", "cpu", 1, False)
    assert torch.equal(SD1.encode_prompt(parts_of(asking), "a cat")["encoder_hidden_states"], theirs)


def test_a_pair_is_equally_long_and_a_repeated_prompt_means_the_same(pipeline: StableDiffusionPipeline) -> None:
    parts = parts_of(pipeline)
    short, long = (SD1.encode_prompt(parts, text) for text in ("a dog", "x" * 200))
    a, b = SD1.pair(short, long)
    assert a["encoder_hidden_states"].shape == b["encoder_hidden_states"].shape == (1, 231, 16)
    assert torch.equal(b["encoder_hidden_states"], long["encoder_hidden_states"])
    assert SD1.pair(long, short)[0] is long and SD1.pair(short, short) == (short, short)
    latents, timesteps = torch.randn(1, 4, 8, 8), torch.tensor([500])
    with torch.no_grad():
        alone, repeated = (SD1.predict(parts.denoiser, latents, timesteps, conditioning) for conditioning in (short, a))
    torch.testing.assert_close(repeated, alone)


def test_predict_is_the_unet(pipeline: StableDiffusionPipeline) -> None:
    latents, states = torch.randn(3, 4, 8, 8), torch.randn(3, 77, 16)
    timesteps = torch.tensor([1, 500, 999])
    with torch.no_grad():
        ours = SD1.predict(pipeline.unet, latents, timesteps, {"encoder_hidden_states": states})
        assert torch.equal(ours, pipeline.unet(latents, timesteps, encoder_hidden_states=states).sample)
        half = SD1.predict(pipeline.unet, latents.double(), timesteps, {"encoder_hidden_states": states.double()})
    assert half.dtype == torch.float64 and torch.equal(half.float(), ours)


@settings(max_examples=60, deadline=None)
@given(prompt=st.text(alphabet=st.characters(exclude_categories=()), max_size=200))
def test_any_text_can_be_encoded(prompt: str) -> None:
    ids = vocabulary_chunks(prompt)
    assert ids and all(len(chunk) == 77 and chunk[0] == 49406 and 49407 in chunk for chunk in ids)


REAL = vocabulary.tokenizer()


def vocabulary_chunks(prompt: str) -> list[list[int]]:
    """The chunks that the family's code hands to the text encoder."""
    seen: list[list[int]] = []

    def encoder(tokens: torch.Tensor, attention_mask: None) -> tuple[torch.Tensor]:
        seen.append(tokens[0].tolist())
        return (torch.zeros(1, 77, 1),)

    encoder.config = SimpleNamespace(num_hidden_layers=12, max_position_embeddings=77)  # type: ignore[attr-defined]
    parts = Components("toy", "automatic", SD1, REAL, encoder, encoder, encoder, {}, torch.device("cpu"), torch.float32)  # type: ignore[arg-type]
    SD1.encode_prompt(parts, prompt)
    return seen


@pytest.mark.parametrize(
    "prompt",
    ["cat " * 5000, "x" * 20_000, "(" * 20_000, "\0\ud800" * 10_000, "猫" * 20_000],
    ids=["words", "letter", "brackets", "odd", "cats"],
)
def test_20000_characters_take_no_time(prompt: str) -> None:
    start = time.perf_counter()
    vocabulary_chunks(prompt)
    assert time.perf_counter() - start < 5  # a tokenizer that goes back and forth would take minutes


def test_clips_vocabulary() -> None:
    data = (Path(vocabulary.__file__).parent / vocabulary.MERGES).read_bytes()
    assert hashlib.sha256(data).hexdigest() == "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
    assert REAL("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert (REAL.bos_token_id, REAL.eos_token_id, REAL.pad_token_id, len(REAL)) == (49406, 49407, 49407, 49408)
    assert vocabulary.tokenizer("!").pad_token_id == 0


UNET15 = {
    "block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768, "attention_head_dim": 8, "layers_per_block": 2,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"], "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "in_channels": 4, "out_channels": 4, "norm_num_groups": 32, "use_linear_projection": False,
}  # fmt: skip
UNET21 = UNET15 | {"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": True}
VAE15 = {
    "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4, "in_channels": 3, "out_channels": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4, "norm_num_groups": 32,
}  # fmt: skip
CLIP_L = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "quick_gelu",
}
CLIP_H = {
    "vocab_size": 49408,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
}


@pytest.mark.parametrize(("config", "family"), [(UNET15, SD1), (UNET21, SD2)], ids=["sd1", "sd2"])
def test_true_unets_are_inferred_from_shapes(config: dict, family: object) -> None:
    with init_empty_weights():
        state = UNet2DConditionModel.from_config(config).state_dict()
    names = dict(keys.unet(config))
    assert set(names) == set(state)
    found = infer.unet(
        {names[name]: tuple(tensor.shape) for name, tensor in state.items()}, family.layout.unet_heads, family.layout.unet_head_width
    )
    assert config.items() <= found.items()
    assert found["transformer_layers_per_block"] == [1, 1, 1, 1]


def test_true_vae_and_text_encoders_are_inferred_from_shapes() -> None:
    with init_empty_weights():
        state = AutoencoderKL.from_config(VAE15).state_dict()
        text = {name: tuple(tensor.shape) for name, tensor in CLIPTextModel(CLIPTextConfig(**CLIP_L)).state_dict().items()}
    names = dict(keys.vae(VAE15))
    assert set(names) == set(state)
    assert VAE15.items() <= infer.vae({names[name]: tuple(tensor.shape) for name, tensor in state.items()}).items()
    assert VAE15.items() <= infer.diffusers_vae({name: tuple(tensor.shape) for name, tensor in state.items()}).items()
    assert CLIP_L.items() <= infer.clip(text).items()
    blocks = {f"transformer.resblocks.{layer}.{part}": (4096, 1024) for layer in range(24) for part in ("ln_1.weight", "mlp.c_fc.weight")}
    assert (
        CLIP_H.items()
        <= infer.open_clip({"token_embedding.weight": (49408, 1024), "positional_embedding": (77, 1024), **blocks}, 23).items()
    )


def test_names_equal_diffusers_converters() -> None:
    modules = ldm_files.components()
    tensors = ldm_files.original(modules)
    for name, convert in (("unet", convert_ldm_unet_checkpoint), ("vae", convert_ldm_vae_checkpoint)):
        theirs = convert(dict(tensors), modules[name].config)
        ours = modules[name].state_dict()
        assert set(theirs) == set(ours) and all(torch.equal(theirs[key], ours[key]) for key in ours)


def test_open_clip_names_equal_diffusers_converter() -> None:
    encoder = ldm_files.components(open_clip=True)["text_encoder"]
    theirs = convert_open_clip_checkpoint(
        encoder, ldm_files.original({"text_encoder": encoder}, open_clip=True), prefix="cond_stage_model.model."
    )
    theirs = {name.removeprefix("text_model."): tensor for name, tensor in theirs.items()}
    ours = encoder.state_dict()
    assert set(ours) <= set(theirs) and all(torch.equal(theirs[key], ours[key]) for key in ours)


FILE = Signature("", "CLIPTextModel", 768, 4, 4)


@pytest.mark.parametrize(
    ("signature", "family"),
    [
        (FILE, "sd1"),
        (replace(FILE, text_encoder="OpenCLIP", text_width=1024), "sd2"),
        (replace(FILE, pipeline="StableDiffusionPipeline", text_width=16), "sd1"),
        (replace(FILE, pipeline="StableDiffusionPipeline", text_width=1024), "sd2"),
        (replace(FILE, pipeline="StableDiffusionXLPipeline"), None),
        (replace(FILE, text_encoder="T5EncoderModel"), None),
        (replace(FILE, in_channels=9), None),
        (replace(FILE, pooled=True), None),
    ],
)
def test_families_are_told_apart(signature: Signature, family: str | None) -> None:
    assert next((name for name, row in FAMILIES.items() if row.recognise(signature)), None) == family
