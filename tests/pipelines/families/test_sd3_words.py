"""What Stable Diffusion 3 is told: diffusers' embeddings to the last bit, and beyond them weights, breaks and long texts."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusion3Pipeline

from pipelines.components import Components
from pipelines.conditioning import PromptCache
from pipelines.denoise import Told
from pipelines.errors import CheckpointError
from pipelines.families import t5
from pipelines.plan import EncodePrompt
from tests.pipelines.families.sd3_toys import components, toy_parts

WIDTH, CLIP, T5 = 24, slice(0, 77), slice(77, None)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sd3")
    return {"pipeline": StableDiffusion3Pipeline(**(made := toy_parts(folder))), "components": components(made, folder)}


def told(parts: dict[str, Any], *prompts: str, negative: str = "", guided: bool = False, **more: Any) -> Told:
    given = {"clip_skip": 0, "syntax": "a1111", "emphasis": "original", "steps": 4, "width": 64, "height": 64} | more
    found: Components = parts["components"]
    (only,) = PromptCache().told(EncodePrompt(prompts, (negative,), guided, **given), found, "")
    return only


def states(parts: dict[str, Any], *prompts: str, **more: Any) -> torch.Tensor:
    return told(parts, *prompts, **more).conditioning["encoder_hidden_states"]


CASES = [("",), ("a cat",), ("a cat", "red dog"), ("A  Cat, 42!",), ("x" * 75,), ("a " * 70,)]


@pytest.mark.parametrize("prompts", CASES, ids=["empty", "short", "two", "odd", "letters", "words"])
@pytest.mark.parametrize("clip_skip", [0, 1])
def test_short_prompts_equal_diffusers_to_the_bit(parts: dict[str, Any], prompts: tuple[str, ...], clip_skip: int) -> None:
    with torch.no_grad():
        theirs, _, pooled, _ = parts["pipeline"].encode_prompt(
            prompts[0], prompts[-1], None, do_classifier_free_guidance=False, clip_skip=clip_skip
        )
    ours = told(parts, *prompts, clip_skip=clip_skip).conditioning
    assert torch.equal(ours["encoder_hidden_states"], theirs) and torch.equal(ours["pooled_projections"], pooled)


@pytest.mark.parametrize(("words", "length"), [(255, 256), (256, 512), (511, 512), (512, 512 + 256)])
def test_t5_reads_every_word(parts: dict[str, Any], words: int, length: int) -> None:
    long = states(parts, "dog " * words)
    clips = 77 * math.ceil(3 * words / 75)  # letter by letter in the toy's CLIPs
    assert long.shape == (1, clips + length, WIDTH)
    if length <= 512:
        with torch.no_grad():
            theirs = parts["pipeline"]._get_t5_prompt_embeds("dog " * words, max_sequence_length=length)
        assert torch.equal(long[:, clips:], theirs)


def test_weights_multiply_the_words_of_t5_and_nothing_else_there(parts: dict[str, Any]) -> None:
    plain, weighted = states(parts, "a cat and dog")[:, T5], states(parts, "a (cat:1.5) and dog")[:, T5]
    assert torch.equal(weighted[:, 1], plain[:, 1] * 1.5)
    rest = [0, *range(2, 256)]
    assert torch.equal(weighted[:, rest], plain[:, rest])
    for emphasis in ("ignore", "none"):
        text = "a (cat:1.5) and dog" if emphasis == "ignore" else "a cat and dog"
        assert torch.equal(states(parts, text, emphasis=emphasis)[:, T5], plain)


def test_a_bracket_within_a_word_does_not_break_it(parts: dict[str, Any]) -> None:
    plain, weighted = states(parts, "a catdog")[:, T5], states(parts, "a cat(dog:0.5)")[:, T5]
    kept = (plain == weighted).all(dim=-1)[0]
    assert kept[:3].tolist() == [True, True, False] and kept[6:].all()  # ▁a ▁cat d o g: the letters are weighed


def test_sections_are_read_apart(parts: dict[str, Any]) -> None:
    both = states(parts, "a cat BREAK red dog")
    assert both.shape == (1, 2 * 77 + 2 * 256, WIDTH)
    first, second = states(parts, "a cat"), states(parts, "red dog")
    assert torch.equal(both[:, 154:], torch.cat([first[:, T5], second[:, T5]], dim=1))
    assert torch.equal(both[:, :154], torch.cat([first[:, CLIP], second[:, CLIP]], dim=1))


def test_compels_weights_of_sections_move_them_from_the_empty_text(parts: dict[str, Any]) -> None:
    half = states(parts, '("a cat", "red dog").and(0.5, 1)', syntax="compel")[:, 154 : 154 + 256]
    cat, empty = states(parts, "a cat")[:, T5], states(parts, "")[:, T5]
    torch.testing.assert_close(half, empty + (cat - empty) * 0.5)


def test_rows_of_one_picture_are_equally_long_and_the_longest_stays_as_it_is(parts: dict[str, Any]) -> None:
    pair = told(parts, "dog " * 300, negative="a cat", guided=True).conditioning
    assert pair["encoder_hidden_states"].shape[0] == 2 and pair["pooled_projections"].shape == (2, 20)
    negative, positive = pair["encoder_hidden_states"].split(1)
    assert torch.equal(positive, states(parts, "dog " * 300))
    alone = states(parts, "a cat")
    assert torch.equal(negative[:, : alone.shape[1]], alone) and not negative[:, alone.shape[1] :].any()


def test_without_t5_there_are_zeros_in_its_place(tmp_path: Path) -> None:
    made = toy_parts(tmp_path, with_t5=False)
    parts = {"pipeline": StableDiffusion3Pipeline(**made), "components": components(made, tmp_path)}
    with torch.no_grad():
        theirs, *_ = parts["pipeline"].encode_prompt("a cat", None, None, do_classifier_free_guidance=False)
    assert torch.equal(states(parts, "a cat"), theirs) and not theirs[:, T5].any()


@pytest.mark.parametrize("text", ["\0\ud800", "(" * 3000, "猫" * 3000, " " * 3000, "🐈\u200d(🐈:1.2)"])
def test_any_text_can_be_said(parts: dict[str, Any], text: str) -> None:
    assert torch.isfinite(states(parts, text)).all()


def test_a_vocabulary_of_sentencepiece_is_read(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    words = ["a cat sat on the mat", "dogs and cats", "abcdefghijklmnopqrstuvwxyz"] * 20
    given = {"vocab_size": 60, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "hard_vocab_limit": False, "minloglevel": 9}
    (tmp_path / "tokenizer").mkdir()
    model = tmp_path / "tokenizer" / "spiece"
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(words), model_prefix=str(model), **given)
    tokenizer = t5.load_tokenizer(t5.tokenizer_folder(tmp_path, "tokenizer"))
    reader = sentencepiece.SentencePieceProcessor(model_file=f"{model}.model")
    for text in ("", "a cat", "The fox, 42!  dogs "):
        assert tokenizer(text).input_ids == [*reader.encode(text), 1]


def test_a_vocabulary_that_cannot_be_read_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    with pytest.raises(CheckpointError, match="has no T5 tokenizer"):
        t5.tokenizer_folder(tmp_path, "tokenizer")
    (folder / "spiece.model").write_bytes(b"nothing")
    monkeypatch.setattr(t5, "PACKAGES", ("sentencepiece", "no_such_package.inside"))
    with pytest.raises(CheckpointError, match="needs the packages sentencepiece and protobuf"):
        t5.tokenizer_folder(tmp_path, "tokenizer")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"The T5 tokenizer of .* cannot be read: "):
        t5.load_tokenizer(folder)
