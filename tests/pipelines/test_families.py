"""Prompts into embeddings as diffusers does, names and configurations as diffusers' converters do, families told apart."""

import hashlib
from importlib import resources

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint, convert_open_clip_checkpoint
from transformers import CLIPTextConfig, CLIPTextModel

from pipelines.components import Components
from pipelines.conditioning import PromptCache
from pipelines.errors import InvalidRequest
from pipelines.families import FAMILIES, infer, keys
from pipelines.plan import EncodePrompt
from pipelines.prompts.clip_tokenizer import ClipTokenizer
from tests.pipelines import ldm_files
from tests.toys import toy_components

SD1, SD2 = FAMILIES["sd1"], FAMILIES["sd2"]


def parts_of(pipeline: StableDiffusionPipeline) -> Components:
    modules = {"text_encoder": pipeline.text_encoder, "unet": pipeline.unet, "vae": pipeline.vae}
    tokenizers = {"text_encoder": ClipTokenizer(pipeline.tokenizer.get_vocab(), [])}
    return Components("toy", "automatic", SD1, modules, tokenizers, pipeline.scheduler.config, torch.device("cpu"), torch.float32)


def encoded(components: Components, text: str, clip_skip: int = 0) -> torch.Tensor:
    stage = EncodePrompt((text,), ("",), False, clip_skip, "a1111", "original", 20, 64, 64)
    return PromptCache().told(stage, components, "")[0].conditioning["encoder_hidden_states"]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(**toy_components(tmp_path_factory.mktemp("tokenizer")))


@pytest.mark.parametrize("prompt", ["", "a cat", "CAT, dog; 42 ünïcode", "x" * 75])
def test_up_to_75_tokens_equal_diffusers_to_the_bit(pipeline: StableDiffusionPipeline, prompt: str) -> None:
    theirs, _ = pipeline.encode_prompt(prompt, "cpu", 1, False)
    ours = encoded(parts_of(pipeline), prompt)
    assert torch.equal(ours, theirs)


def test_longer_prompts_are_chunks_of_75(pipeline: StableDiffusionPipeline) -> None:
    parts = parts_of(pipeline)
    first, second = " ".join("abcde" * 15), " ".join("xyz")
    chunks = [encoded(parts, text) for text in (first, second)]
    together = encoded(parts, f"{first} {second}")
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
    ours = encoded(parts_of(pipeline), "a cat", skip)
    assert torch.equal(ours, direct)
    assert not torch.equal(ours, encoded(parts_of(pipeline), "a cat"))


def test_clip_skip_beyond_the_encoder_is_a_sentence(pipeline: StableDiffusionPipeline) -> None:
    with pytest.raises(InvalidRequest, match=r"at most 2 .*got 3") as caught:
        encoded(parts_of(pipeline), "a cat", 3)
    assert caught.value.field == "clip_skip"


def test_the_attention_mask_is_used_where_the_encoder_asks_for_it(pipeline: StableDiffusionPipeline) -> None:
    masked = CLIPTextModel(CLIPTextConfig(**pipeline.text_encoder.config.to_dict())).eval()
    masked.config.use_attention_mask = True
    asking = StableDiffusionPipeline(**{**pipeline.components, "text_encoder": masked}, requires_safety_checker=False)
    theirs, _ = asking.encode_prompt("a cat", "cpu", 1, False)
    assert torch.equal(encoded(parts_of(asking), "a cat"), theirs)


def test_a_pair_is_equally_long_and_a_repeated_prompt_means_the_same(pipeline: StableDiffusionPipeline) -> None:
    parts = parts_of(pipeline)
    short, middle, long = ({"encoder_hidden_states": encoded(parts, text)} for text in ("a dog", "x" * 100, "x" * 200))
    a, b, c = SD1.align([short, middle, long])
    assert {told["encoder_hidden_states"].shape for told in (a, b, c)} == {(1, 6 * 77, 16)}
    assert torch.equal(c["encoder_hidden_states"][:, :231], long["encoder_hidden_states"])
    assert SD1.align([short, short]) == [short, short]
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


def test_clips_vocabulary() -> None:
    data = resources.files("pipelines.families").joinpath("data", "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    assert hashlib.sha256(data).hexdigest() == "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
    assert SD1.load_tokenizer("text_encoder", None)("a photo of a cat") == [320, 1125, 539, 320, 2368]
    marks = [family.load_tokenizer("text_encoder", None).marks for family in (SD1, SD2)]
    assert [(each.begin, each.end, each.pad) for each in marks] == [(49406, 49407, 49407), (49406, 49407, 0)]


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
        {names[name]: tuple(tensor.shape) for name, tensor in state.items()}, family.settings.unet_heads, family.settings.unet_head_width
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
