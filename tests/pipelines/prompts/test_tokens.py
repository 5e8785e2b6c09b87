"""Chunks of tokens as A1111 cuts them, against a reference written for this test; and CLIP's tokenizer against transformers'."""

import subprocess
import sys
from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from pipelines.errors import CheckpointError
from pipelines.prompts import clip_tokenizer
from pipelines.prompts.clip_tokenizer import Marks
from pipelines.prompts.grammar import schedule
from pipelines.prompts.tokens import chunks
from pipelines.prompts.tree import Part, Span
from tests.toys import toy_tokenizer

ROOT = Path(__file__).parents[3]
NASTY = (
    "", " ", "a photo of a cat", "don't we'll 'S", "1234 1.5", "É e\u0301 ﬁ İ ß ǅ", "👩‍👩‍👧 \u200d", "שלום \u202e abc", "中文 ٣ ¼ 𝒳",
    "<|endoftext|> <|ENDOFTEXT|>",
    "a\n\tb\u3000c\u0085d", "!! ?", "__a__ (b:1.2) \\( [x]", "\ud800 a \0 b", "word" * 40, "<|startoftext|>x",
)  # fmt: skip
MARKS = Marks(begin=900, end=901, pad=901, comma=44)


def letters(text: str) -> list[int]:
    """One token for each character that is no blank."""
    return [ord(character) for character in text if character != " "]


def part(text: str, syntax: str = "a1111") -> Part:
    return schedule(text, 1, syntax)[0].parts[0]  # type: ignore[arg-type]


def reference(text: str, room: int, backtrack: int = 20) -> list[list[int]]:
    """A1111's loop over the tokens of a text without brackets, written anew: what stands between begin and end."""
    done: list[list[int]] = []
    for section in text.split("BREAK"):
        chunk: list[int] = []
        comma = None
        for token in letters(section):
            if token == MARKS.comma:
                comma = len(chunk)
            elif len(chunk) == room and comma is not None and room - comma <= backtrack:
                done.append(chunk[: comma + 1])
                chunk, comma = chunk[comma + 1 :], None
            if len(chunk) == room:
                done.append(chunk)
                chunk, comma = [], None
            chunk.append(token)
        done.append(chunk)
    return done if len(done) == 1 or done[-1] else done[:-1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "a" * 75,
        "a" * 76,
        "a" * 70 + "," + "b" * 30,
        "a" * 55 + "," + "b" * 30,
        "a" * 54 + "," + "b" * 30,
        "a" * 74 + "," + "b" * 30,
        "a" * 75 + "," + "b" * 30,
        "a, " * 90,
        "a BREAK b",
        "a BREAK",
        "BREAK a",
        "BREAK BREAK",
        "a" * 80 + " BREAK " + "b, " * 60,
    ],
)
def test_chunks_are_a1111s(text: str) -> None:
    cut = chunks(part(text), letters, MARKS)
    assert [list(chunk.ids[1 : 1 + chunk.used]) for chunk in cut] == reference(text, 75)
    for chunk in cut:
        assert len(chunk.ids) == len(chunk.weights) == 77
        assert chunk.ids[0] == 900
        assert set(chunk.ids[1 + chunk.used :]) == {901}


def test_no_backtracking_where_it_is_off() -> None:
    cut = chunks(part("a" * 70 + "," + "b" * 30), letters, MARKS, backtrack=0)
    assert [chunk.used for chunk in cut] == [75, 26]


def test_padding_with_another_token() -> None:
    (chunk,) = chunks(part("ab"), letters, Marks(900, 901, 0))
    assert chunk.ids == (900, 97, 98, 901, *(0,) * 73)


def test_weights_and_origins_of_tokens() -> None:
    (chunk,) = chunks(part("ab (cd:1.5)"), letters, MARKS)
    assert chunk.weights[:6] == (1.0, 1.0, 1.0, 1.5, 1.5, 1.0)
    assert chunk.origins == ((0, 0), (0, 1), (1, 0), (1, 1))


def test_embeddings_by_their_tokens_longest_first() -> None:
    names = {"ab": 2, "abc": 3, "none": 0}
    (chunk,) = chunks(part("abcab x"), letters, MARKS, names)
    assert chunk.embeddings == ((1, "abc", 3), (4, "ab", 2))
    assert chunk.ids[:8] == (900, 0, 0, 0, 0, 0, ord("x"), 901)
    (chunk,) = chunks(part("(ab:1.5)"), letters, MARKS, names)
    assert chunk.weights[:4] == (1.0, 1.5, 1.5, 1.0)


def test_an_embedding_is_never_cut() -> None:
    first, second = chunks(part("a" * 70 + "zz"), letters, MARKS, {"zz": 8})
    assert (first.used, second.used) == (70, 8)
    assert second.embeddings == ((1, "zz", 8),)
    first, second = chunks(part("a" * 60 + ",zz" + "b" * 12), letters, MARKS, {"zz": 8})
    assert (first.used, second.used, second.embeddings) == (61, 20, ((1, "zz", 8),)), "it moves on with the words around it"
    (only,) = chunks(part("zz"), letters, MARKS, {"zz": 100})
    assert only.embeddings == ((1, "zz", 75),)


def test_embeddings_are_found_however_they_are_written() -> None:
    tokenizer = clip_tokenizer.openai()
    (chunk,) = chunks(part("a cat, EASYnegative!"), tokenizer, tokenizer.marks, {"EasyNegative": 4})
    assert [(name, count) for _, name, count in chunk.embeddings] == [("EasyNegative", 4)]


def test_compels_cut() -> None:
    marks = Marks(900, 901, 901, ord(","), frozenset([ord(".")]), frozenset(map(ord, ".,")), frozenset([ord("w")]))
    said = lambda text: [chunk.used for chunk in chunks(Part(1.0, ((Span(text, 1.0, 0, 0),),)), letters, marks, sentences=True)]  # noqa: E731
    assert said("a" * 30 + "." + "b" * 10 + "," + "c" * 50) == [31, 61]
    assert said("a" * 30 + "," + "b" * 60) == [31, 60]
    assert said("a" * 20 + "w" + "b" * 60) == [21, 60]
    assert said("a" * 80) == [75, 5]
    assert said("") == [0]
    assert [chunk.section for chunk in chunks(part('("a", "", "b").and()', "compel"), letters, marks, sentences=True)] == [0, 1, 2]


def transformers_tokenizer(pad_token: str = "<|endoftext|>") -> CLIPTokenizer:
    words, merges = clip_tokenizer.openai_parts()
    return CLIPTokenizer(vocab=words, merges=merges, model_max_length=77, pad_token=pad_token)


@pytest.mark.parametrize("pad_token", ["<|endoftext|>", "!"])
def test_ids_are_those_of_transformers(pad_token: str) -> None:
    theirs, ours = transformers_tokenizer(pad_token), clip_tokenizer.openai(pad_token)
    for text in NASTY:
        clean = text.encode("utf-8", "replace").decode().replace("\0", " ")
        assert ours(text) == theirs(clean, add_special_tokens=False, verbose=False).input_ids, text
    marks = ours.marks
    assert (marks.begin, marks.end, marks.pad) == (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id)
    assert marks.comma == theirs.get_vocab()[",</w>"]


def test_short_prompts_are_framed_as_diffusers_does() -> None:
    theirs, ours = transformers_tokenizer(), clip_tokenizer.openai()
    for text in ("", "a photo of a cat", "x " * 75):
        (chunk,) = chunks(part(text), ours, ours.marks)
        assert list(chunk.ids) == theirs(text.rstrip(), padding="max_length", max_length=77, truncation=True).input_ids


def test_folders(tmp_path: Path) -> None:
    theirs = toy_tokenizer(tmp_path / "toy" / "tokenizer")
    theirs.save_pretrained(tmp_path / "saved" / "tokenizer")
    for folder in (tmp_path / "toy" / "tokenizer", tmp_path / "saved" / "tokenizer"):
        ours, again = clip_tokenizer.from_folder(folder), CLIPTokenizer.from_pretrained(str(folder))
        for text in ("hello world", "ab, c1", "Ünknown"):
            assert ours(text) == again(text, add_special_tokens=False).input_ids
        assert (ours.marks.begin, ours.marks.end, ours.marks.pad) == (again.bos_token_id, again.eos_token_id, again.pad_token_id)
        assert ours.marks.comma is None
    assert (tmp_path / "saved" / "tokenizer" / "tokenizer.json").exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"model": {"vocab": {"a": "b"}, "merges": []}}', '{"model": {"vocab": {}, "merges": ["a b"]}}']
)
def test_folders_that_hold_no_tokenizer(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(CheckpointError):
        clip_tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError):
        clip_tokenizer.from_folder(tmp_path)


def test_the_page_may_import_all_but_the_encoder() -> None:
    modules = "analysis, clip_tokenizer, expand, extras, grammar, many, styles, tokens, tree, wildcards"
    check = (
        f"import sys; from pipelines.prompts import {modules}; print(sorted({{'torch', 'diffusers', 'transformers'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
