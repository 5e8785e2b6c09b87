"""From typed text to what the denoiser hears, as A1111 goes: a naive reference that shares no line with the program.

The reference reads brackets by recursion, cuts chunks by a plain loop, uses transformers' tokenizer, multiplies and restores the
mean as written in A1111's description; prompt and negative of different lengths go through the denoiser one after the other,
as A1111 does where it does not pad.
"""

import functools
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pipelines.components import Components
from pipelines.conditioning import PromptCache
from pipelines.families import FAMILIES
from pipelines.plan import EncodePrompt
from pipelines.prompts import clip_tokenizer
from pipelines.prompts.clip_tokenizer import openai_parts
from tests.toys import toy_components

SD1 = FAMILIES["sd1"]
ROOM, BACKTRACK = 75, 20


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Components:
    """A toy Stable Diffusion that knows all of CLIP's words; its last norm has weights, so that there is a mean to restore."""
    parts = toy_components(Path(tmp_path_factory.mktemp("toy")))
    torch.manual_seed(1)
    config = CLIPTextConfig(vocab_size=49408, hidden_size=16, intermediate_size=32, num_attention_heads=2, num_hidden_layers=3)
    encoder = CLIPTextModel(config).eval()
    with torch.no_grad():
        encoder.final_layer_norm.weight.uniform_(0.5, 1.5)
        encoder.final_layer_norm.bias.uniform_(-0.2, 0.6)
    modules = {"text_encoder": encoder, "unet": parts["unet"], "vae": parts["vae"]}
    tokenizers = {"text_encoder": clip_tokenizer.openai()}
    return Components("toy", "automatic", SD1, modules, tokenizers, parts["scheduler"].config, torch.device("cpu"), torch.float32)


@functools.cache
def transformers_tokenizer() -> CLIPTokenizer:
    words, merges = openai_parts()
    return CLIPTokenizer(vocab=words, merges=merges)


# -- the reference ------------------------------------------------------------------------------------------------------


def brackets(text: str) -> list[tuple[str, float]]:
    """(words, weight) of a text whose brackets all have partners, by recursion."""
    found: list[tuple[str, float]] = []
    at = 0
    while at < len(text):
        sign = text[at]
        if sign == "\\" and at + 1 < len(text) and text[at + 1] in "()[]\\":
            found.append((text[at + 1], 1.0))
            at += 2
        elif sign in "([":
            end, depth = at + 1, 1
            while depth:  # the partner
                if text[end] == "\\":
                    end += 1
                elif text[end] == sign:
                    depth += 1
                elif text[end] == ")]"["([".index(sign)]:
                    depth -= 1
                end += 1
            inner, factor = text[at + 1 : end - 1], 1.1 if sign == "(" else 1 / 1.1
            number = re.fullmatch(r"(.*):\s*([-+]?[.\d]+)\s*", inner, re.DOTALL) if sign == "(" else None
            if number:
                inner, factor = number[1], float(number[2])
            found += [(words, weight * factor) for words, weight in brackets(inner)]
            at = end
        else:
            found.append((sign, 1.0))
            at += 1
    return found


def phrases(text: str) -> list[tuple[str, float]]:
    """Neighbours of one weight are one phrase."""
    joined: list[tuple[str, float]] = []
    for words, weight in brackets(text):
        if joined and joined[-1][1] == weight:
            joined[-1] = (joined[-1][0] + words, weight)
        else:
            joined.append((words, weight))
    return joined


def chunked(text: str, tokenizer: CLIPTokenizer, plain: bool) -> list[list[tuple[int, float]]]:
    comma, done = tokenizer.get_vocab()[",</w>"], []
    sections = [text] if plain else re.split(r"\s*\bBREAK\b\s*", text)
    for number, section in enumerate(sections):
        chunk: list[tuple[int, float]] = []
        last_comma = None
        tokens = [
            (token, weight)
            for words, weight in ([(section, 1.0)] if plain else phrases(section))
            for token in tokenizer(words, add_special_tokens=False, verbose=False).input_ids
        ]
        for token, weight in tokens:
            if token == comma:
                last_comma = len(chunk)
            elif len(chunk) == ROOM and last_comma is not None and len(chunk) - last_comma <= BACKTRACK:
                done.append(chunk[: last_comma + 1])
                chunk, last_comma = chunk[last_comma + 1 :], None
            if len(chunk) == ROOM:
                done.append(chunk)
                chunk, last_comma = [], None
            chunk.append((token, weight))
        if tokens or number < len(sections) - 1 or not done:
            done.append(chunk)
    return done


def heard(text: str, toy: Components, emphasis: str = "original", clip_skip: int = 0) -> Tensor:
    """What the denoiser is told of a text."""
    tokenizer, encoder = transformers_tokenizer(), toy.modules["text_encoder"]
    rows = []
    for chunk in chunked(text, tokenizer, plain=emphasis == "none"):
        padding = ROOM - len(chunk)
        ids = [tokenizer.bos_token_id, *(token for token, _ in chunk), *[tokenizer.eos_token_id] * (padding + 1)]
        weights = torch.tensor([1.0, *(weight for _, weight in chunk), *[1.0] * (padding + 1)])[None, :, None]
        with torch.no_grad():
            output = encoder(torch.tensor([ids]), output_hidden_states=True)
            z = encoder.final_layer_norm(output.hidden_states[-1 - clip_skip])
        if emphasis in ("original", "no_norm"):
            before = z.mean()
            z = z * weights
            z = z * (before / z.mean()) if emphasis == "original" else z
        rows.append(z)
    return torch.cat(rows, dim=1)


# -- against the program ------------------------------------------------------------------------------------------------

THINGS = ("boat", "house", "lamp", "net", "gull", "crab", "rope", "sail", "mast", "pier", "wave", "dune")
LONG = ", ".join(f"{thing} by the (old:1.2) harbour" for thing in THINGS)
TEXTS = (
    "", "a cat", "a (cat:1.3) on [sand]", "((a)) \\(b\\) (c:0.5), [[d]]", "(a [b (c:1.4)])", "(a:-0.5) b", "a BREAK (b:1.2)", "a BREAK",
    "BREAK a", "a BREAK BREAK b", LONG, "word " * 60 + ", tail " * 8, "word " * 75 + "more", f"{LONG} BREAK (night:0.8)",
)  # fmt: skip


def told(toy: Components, text: str, negative: str = "", emphasis: Any = "original", clip_skip: int = 0) -> dict[str, Tensor]:
    stage = EncodePrompt((text,), (negative,), bool(negative), clip_skip, "a1111", emphasis, 20, 64, 64)
    return PromptCache().told(stage, toy, "")[0].conditioning


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("emphasis", ["original", "no_norm", "ignore", "none"])
def test_what_the_denoiser_hears(toy: Components, text: str, emphasis: str) -> None:
    ours = told(toy, text, emphasis=emphasis)["encoder_hidden_states"]
    torch.testing.assert_close(ours, heard(text, toy, emphasis), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("clip_skip", [1, 2])
def test_clip_skip(toy: Components, clip_skip: int) -> None:
    """A1111's number less one."""
    ours = told(toy, TEXTS[2], clip_skip=clip_skip)["encoder_hidden_states"]
    torch.testing.assert_close(ours, heard(TEXTS[2], toy, clip_skip=clip_skip), rtol=1e-5, atol=1e-5)


WORDS = st.sampled_from(("cat", "red", "sea", ",", "BREAK", "\\(x\\)", "old harbour"))
NESTED = st.recursive(
    WORDS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=12).map(" ".join),
        st.builds("({}:{})".format, inner.filter(lambda text: "BREAK" not in text), st.sampled_from(("1.3", "0.7", "1.05"))),
        st.builds("[{}]".format, inner.filter(lambda text: "BREAK" not in text)),
    ),
    max_leaves=60,
)


@settings(max_examples=40, deadline=None)
@given(NESTED)
def test_any_nesting(toy: Components, text: str) -> None:
    torch.testing.assert_close(told(toy, text)["encoder_hidden_states"], heard(text, toy), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("text", "negative"), [("a cat", LONG), (LONG, "blur"), (f"{LONG} BREAK x BREAK y", f"{LONG} BREAK z")])
def test_prompt_and_negative_of_different_lengths_are_heard_as_if_apart(toy: Components, text: str, negative: str) -> None:
    """A1111's passes one after the other need no padding; our one pass repeats both to a common length, and no answer changes."""
    conditioning = told(toy, text, negative)
    assert conditioning["encoder_hidden_states"].shape[0] == 2
    latents, timestep = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(2)), torch.tensor([500])
    with torch.no_grad():
        together = SD1.predict(toy.denoiser, latents.expand(2, -1, -1, -1), timestep.expand(2), conditioning)
        apart = [toy.denoiser(latents, timestep, encoder_hidden_states=heard(each, toy)).sample for each in (negative, text)]
        padded = torch.cat([heard("a cat", toy), *[heard("", toy)] * 4], dim=1)
        otherwise = toy.denoiser(latents, timestep, encoder_hidden_states=padded).sample
        plain = toy.denoiser(latents, timestep, encoder_hidden_states=heard("a cat", toy)).sample
    torch.testing.assert_close(together, torch.cat(apart), rtol=1e-5, atol=1e-5)
    assert float((otherwise - plain).abs().max()) > 10 * float((together - torch.cat(apart)).abs().max())  # padding changes it


def test_repetition_is_exact_in_double_precision(toy: Components) -> None:
    """It is mathematics, not luck: twelve digits and more."""
    latents, timestep = torch.randn((1, 4, 8, 8), dtype=torch.float64), torch.tensor([500])
    states, unet = heard(LONG, toy).double(), toy.denoiser.double()
    try:
        with torch.no_grad():
            once, thrice = (unet(latents, timestep, encoder_hidden_states=states.repeat(1, times, 1)).sample for times in (1, 3))
    finally:
        unet.float()
    assert float((once - thrice).abs().max() / once.abs().max()) < 1e-12
