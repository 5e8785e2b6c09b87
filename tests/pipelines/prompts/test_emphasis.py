"""Weights on embeddings: A1111's arithmetic against a reference written here, compel's against compel."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from pipelines.errors import InvalidRequest, UnknownName
from pipelines.prompts import clip_tokenizer
from pipelines.prompts.clip_tokenizer import ClipTokenizer
from pipelines.prompts.emphasis import Encoded, TextEncoder
from pipelines.prompts.grammar import schedule
from pipelines.prompts.tokens import Chunk, chunks
from tests.toys import toy_components

CPU = torch.device("cpu")
LONG = "the (quick:1.4) brown fox jumps over the lazy dog and goes home again to see whether the [cows] BREAK come (home:0.3)"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], ClipTokenizer]:
    folder = tmp_path_factory.mktemp("toy") / "tokenizer"
    components = toy_components(folder)
    with torch.no_grad():  # as trained: without this all means are 0, and there is nothing to restore
        components["text_encoder"].final_layer_norm.weight.uniform_(0.5, 1.5)
        components["text_encoder"].final_layer_norm.bias.uniform_(-0.2, 0.6)
    return components, clip_tokenizer.from_folder(folder)


def reader(toy: tuple[dict[str, Any], ClipTokenizer], **options: Any) -> TextEncoder:
    return TextEncoder(options.pop("module", toy[0]["text_encoder"]), toy[1].marks, CPU, options.pop("dtype", torch.float32), **options)


def cut(text: str, tokenizer: ClipTokenizer, syntax: str = "a1111", embeddings: dict[str, int] | None = None) -> list[tuple[Chunk, ...]]:
    parts = schedule(text, 1, syntax)[0].parts  # type: ignore[arg-type]
    return [chunks(part, tokenizer, tokenizer.marks, embeddings, sentences=syntax == "compel") for part in parts]


def hidden(module: Any, chunk: Chunk, layer: int = -1) -> Tensor:
    with torch.no_grad():
        output = module(torch.tensor([chunk.ids]), output_hidden_states=True)
    return output.last_hidden_state if layer == -1 else output.hidden_states[layer]


def a1111(module: Any, pieces: Sequence[Chunk], restore: bool) -> Tensor:
    """Multiply, then scale the chunk so that its mean is what it was."""
    rows = []
    for chunk in pieces:
        z = hidden(module, chunk)
        weighed = z * torch.tensor(chunk.weights)[None, :, None]
        rows.append(weighed * (z.mean() / weighed.mean()) if restore else weighed)
    return torch.cat(rows, dim=1)


@pytest.mark.parametrize("clip_skip", [0, 1, 2])
@pytest.mark.parametrize("text", ["", "a photo of a cat", "words, and more"])
def test_without_weights_diffusers_own_embeddings(toy: Any, text: str, clip_skip: int) -> None:
    wanted = StableDiffusionPipeline(**toy[0]).encode_prompt(text, CPU, 1, False)[0]
    for syntax in ("a1111", "compel"):
        (pieces,) = cut(text, toy[1], syntax)
        if clip_skip:  # what diffusers means, and with these versions fails at, since the encoder has lost its `text_model`
            with torch.no_grad():
                wanted = toy[0]["text_encoder"].final_layer_norm(hidden(toy[0]["text_encoder"], pieces[0], -(clip_skip + 1)))
        assert torch.equal(reader(toy, clip_skip=clip_skip).encode(pieces, syntax=syntax).states, wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["a (cat:1.3)", "a [cat] (dog:0.5)", "(a:-1) b", LONG])
def test_a1111s_arithmetic(toy: Any, text: str) -> None:
    (pieces,) = cut(text, toy[1])
    module = toy[0]["text_encoder"]
    torch.testing.assert_close(reader(toy).encode(pieces).states, a1111(module, pieces, restore=True), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(reader(toy).encode(pieces, "no_norm").states, a1111(module, pieces, restore=False), rtol=1e-5, atol=1e-6)


def test_a_mean_that_is_only_rounding_is_not_restored(tmp_path: Path) -> None:
    untrained = (toy_components(tmp_path / "tokenizer"), clip_tokenizer.from_folder(tmp_path / "tokenizer"))
    (pieces,) = cut("a (cat:1.3)", untrained[1])
    assert torch.equal(reader(untrained).encode(pieces).states, reader(untrained).encode(pieces, "no_norm").states)


def test_ignored_weights_leave_the_words(toy: Any) -> None:
    (weighed,), (plain,) = cut("a (cat:1.3) dog", toy[1]), cut("a cat dog", toy[1])
    for emphasis in ("ignore", "none"):
        assert torch.equal(reader(toy).encode(weighed, emphasis).states, reader(toy).encode(plain).states)  # type: ignore[arg-type]


def test_a_chunk_does_not_depend_on_its_company(toy: Any) -> None:
    (pieces,) = cut(LONG, toy[1])
    assert len(pieces) > 1
    whole = reader(toy).encode(pieces).states
    assert torch.equal(whole, torch.cat([reader(toy).encode([piece]).states for piece in pieces], dim=1))


def blended(encoder: TextEncoder, text: str, tokenizer: ClipTokenizer) -> Tensor:
    parts = schedule(text, 1, "compel")[0].parts
    rows = [encoder.encode(pieces, syntax="compel").states for pieces in cut(text, tokenizer, "compel")]
    if parts[0].kind != "blend":
        return rows[0]
    return torch.stack([part.weight * row for part, row in zip(parts, rows, strict=True)]).sum(0)


@pytest.mark.parametrize(
    "text",
    [
        "a cat",
        "(cat)1.5 dog",
        "(cat)0.5 dog",
        "cat- dog-- (bird)1.3",
        "(a)0 b",
        '("a cat", "dogs run").blend(0.7, 0.3)',
        '("a cat", "(dogs)0.4 run").blend(1, 1, no_normalize)',
        '("a cat", "(dogs)0.4 run").and(1, 0.5)',
        "(the quick brown fox jumps over the lazy dog and goes home again to see whether)0.6 the cows (have)1.4 come home (again)0.3",
    ],
)
def test_compels_arithmetic(toy: Any, text: str) -> None:
    compel = pytest.importorskip("compel")
    theirs = compel.Compel(toy[0]["tokenizer"], toy[0]["text_encoder"], truncate_long_prompts=False)(text)
    torch.testing.assert_close(blended(reader(toy), text, toy[1]), theirs, rtol=1e-4, atol=2e-6)


def test_many_lowered_words_are_refused_in_compels_syntax(toy: Any) -> None:
    (pieces,) = cut("a- b " * 101, toy[1], "compel")
    with pytest.raises(InvalidRequest, match="At most 100 places may have a weight below 1 in compel's syntax; got 101"):
        reader(toy).encode(pieces, syntax="compel")


def projected(seed: int = 3) -> CLIPTextModelWithProjection:
    torch.manual_seed(seed)
    config = CLIPTextConfig(
        vocab_size=54, hidden_size=16, intermediate_size=32, num_attention_heads=2, num_hidden_layers=3, bos_token_id=52, eos_token_id=53,
        pad_token_id=53, projection_dim=12,
    )  # fmt: skip
    return CLIPTextModelWithProjection(config).eval()


@pytest.mark.parametrize("clip_skip", [0, 1])
def test_the_layer_before_the_last_unnormed_and_pooled_from_the_first_chunk(toy: Any, clip_skip: int) -> None:
    """As diffusers' SDXL pipeline reads it."""
    module = projected()
    (pieces,) = cut("a (cat:1.3) BREAK dog", toy[1])
    encoded = reader(toy, module=module, normed=False, clip_skip=clip_skip).encode(pieces, "no_norm")
    with torch.no_grad():
        first = module(torch.tensor([pieces[0].ids]), output_hidden_states=True)
    assert encoded.pooled is not None
    assert torch.equal(encoded.pooled, first.text_embeds)
    weights = torch.tensor(pieces[0].weights)[None, :, None]
    assert torch.equal(encoded.states[:, :77], first.hidden_states[-(clip_skip + 2)] * weights)
    assert torch.equal(encoded.states[:, 77:], hidden(module, pieces[1], -(clip_skip + 2)))


def test_a_projection_does_not_hide_the_last_layer(toy: Any) -> None:
    module = projected()
    (pieces,) = cut("a cat", toy[1])
    for clip_skip, layer in ((0, -1), (1, -2)):
        wanted = hidden(module, pieces[0], layer)
        with torch.no_grad():
            wanted = wanted if layer == -1 else module.text_model.final_layer_norm(wanted)
        assert torch.equal(reader(toy, module=module, clip_skip=clip_skip).encode(pieces).states, wanted)


def test_vectors_take_their_place_and_leave_nothing_behind(toy: Any) -> None:
    module, tokenizer = toy[0]["text_encoder"], toy[1]
    table = module.get_input_embeddings()
    before = table.weight.clone()
    (plain,) = cut("a cat dog", tokenizer)
    (named,) = cut("a zz dog", tokenizer, embeddings={"zz": 3})
    vectors = {"zz": table.weight[torch.tensor(tokenizer("cat"))].detach().clone()}
    assert torch.equal(reader(toy, vectors=vectors).encode(named).states, reader(toy).encode(plain).states)
    assert not table._forward_hooks
    assert torch.equal(table.weight, before)


def test_nothing_is_left_behind_after_an_error(toy: Any) -> None:
    module, tokenizer = toy[0]["text_encoder"], toy[1]
    (named,) = cut("a zz", tokenizer, embeddings={"zz": 1})
    broken = module.final_layer_norm.register_forward_pre_hook(lambda *_: 1 / 0)
    try:
        with pytest.raises(ZeroDivisionError):
            reader(toy, vectors={"zz": torch.zeros(1, 16)}).encode(named)
    finally:
        broken.remove()
    assert not module.get_input_embeddings()._forward_hooks


def test_embeddings_that_do_not_fit_are_told(toy: Any) -> None:
    (named,) = cut("a zz", toy[1], embeddings={"zz": 1})
    with pytest.raises(UnknownName, match="'zz'"):
        reader(toy).encode(named)
    with pytest.raises(InvalidRequest, match=r"'zz' must have vectors of 16 numbers .* \(1, 20\)"):
        reader(toy, vectors={"zz": torch.zeros(1, 20)}).encode(named)


def test_too_many_layers_skipped(toy: Any) -> None:
    (pieces,) = cut("a", toy[1])
    with pytest.raises(InvalidRequest, match=r"clip_skip must be at most 2 .* got 3"):
        reader(toy, clip_skip=3).encode(pieces)
    with pytest.raises(InvalidRequest, match=r"clip_skip must be at most 1 .* got 2"):
        reader(toy, clip_skip=2, normed=False).encode(pieces)


def test_the_type_asked_for(toy: Any) -> None:
    (pieces,) = cut("a (cat:1.3)", toy[1])
    encoded = reader(toy, dtype=torch.float16).encode(pieces)
    assert isinstance(encoded, Encoded)
    assert encoded.states.dtype == torch.float16
    assert encoded.pooled is not None
    assert encoded.pooled.dtype == torch.float16
