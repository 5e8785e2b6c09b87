"""What the prompt box shows."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.prompts import clip_tokenizer
from pipelines.prompts.analysis import analyse
from pipelines.prompts.wildcards import Wildcards

TOKENIZER = clip_tokenizer.openai()


def shown(text: str, steps: int = 20, **options: Any) -> dict[str, Any]:
    return analyse(text, steps, TOKENIZER, **options)


def sentences(text: str, **options: Any) -> list[str]:
    return [notice["sentence"] for notice in shown(text, **options)["notices"]]


def test_a_plain_prompt() -> None:
    found = shown("a photo of a cat")
    chunk = {"tokens": 5, "room": 75, "start": 0, "end": 16}
    part = {"weight": 1.0, "kind": "and", "chunks": [chunk]}
    assert found["timeline"] == [{"from": 1, "until": 20, "tokens": 5, "parts": [part]}]
    assert found["spans"] == [{"start": 0, "end": 16, "weight": 1.0, "steps": [[1, 20]]}]
    assert (found["tokens"], found["texts"], found["dynamic"]) == (5, 1, False)
    assert not found["networks"] + found["embeddings"] + found["unbalanced"] + found["notices"]


def test_chunk_borders_stand_where_the_words_do() -> None:
    text = "cat " * 80 + "BREAK (dog:1.2)"
    chunks = shown(text)["timeline"][0]["parts"][0]["chunks"]
    assert [chunk["tokens"] for chunk in chunks] == [75, 5, 1]
    assert [text[chunk["start"] : chunk["end"]].split()[0] for chunk in chunks] == ["cat", "cat", "dog"]
    assert chunks[1]["start"] == 75 * 4
    assert shown("a BREAK BREAK b")["timeline"][0]["parts"][0]["chunks"][1] == {"tokens": 0, "room": 75, "start": None, "end": None}


def test_which_words_hold_when() -> None:
    text = "a [cat:dog:0.25] [x|(y:1.2)]"
    words = {text[span["start"] : span["end"]]: (span["weight"], span["steps"]) for span in shown(text, 4)["spans"]}
    assert words["cat"] == (1.0, [[1, 1]])
    assert words["dog"] == (1.0, [[2, 4]])
    assert words["x"] == (1.0, [[1, 1], [3, 3]])
    assert words["y"] == (1.2, [[2, 2], [4, 4]])
    assert words["a "] == (1.0, [[1, 4]])


def test_networks_and_embeddings() -> None:
    text = "<lora:Ghibly:0.8> a <lora:film> easynegative cat"
    found = shown(text, loras=["ghibli", "film"], embeddings={"EasyNegative": 8})
    assert [(each["name"], each["known"], each["near"]) for each in found["networks"]] == [
        ("Ghibly", False, ["ghibli"]),
        ("film", True, []),
    ]
    assert found["embeddings"] == [{"name": "EasyNegative", "vectors": 8, "start": 32, "end": 44}]
    assert found["tokens"] == 10
    assert [notice["sentence"] for notice in found["notices"]] == ["There is no LoRA named 'Ghibly'; like it: ghibli."]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<hypernet:x:1>", "Hypernetworks are not supported; 'x' is left out."),
        ("<foo:x>", "Networks of the kind 'foo' are not supported; 'x' is left out."),
        ("wide 16:9", "The number at the end is the weight of the whole prompt, 9; a comma behind it prevents that."),
        ("[a:b:3] | c", "No [from:to:when] is read here: a | must stand between [ and ], and a backslash before what it escapes."),
        ("(a BREAK b)", "BREAK inside brackets is a word of weight -1.1; outside of them it begins a new chunk."),
    ],
)
def test_notices(text: str, sentence: str) -> None:
    assert sentences(text) == [sentence]


def test_notices_of_compels_syntax() -> None:
    assert sentences("(a:1.2)", syntax="compel") == ["'(a:1.2)' is A1111's syntax; in compel's it is read as words."]
    assert shown('("a", "b").blend(1, 3)', syntax="compel")["timeline"][0]["parts"][1]["weight"] == 0.75


def test_unbalanced_brackets() -> None:
    assert shown(r"(a [b) \( ]")["unbalanced"] == []  # the two kinds do not see each other
    assert shown("# (\n)a ((b) [c")["unbalanced"] == [
        {"position": 4, "character": ")"},
        {"position": 7, "character": "("},
        {"position": 12, "character": "["},
    ]
    assert shown("[a (", syntax="compel")["unbalanced"] == [{"position": 3, "character": "("}]


def test_wildcards_are_looked_up(tmp_path: Path) -> None:
    (tmp_path / "colour.txt").write_text("red\n")
    text = "__colour__ __color__ {a|b}"
    found = shown(text, wildcards=Wildcards([tmp_path]))
    assert found["dynamic"]
    assert [(notice["start"], notice["sentence"]) for notice in found["notices"]] == [
        (11, "There is no wildcard named '__color__'; like it are: colour.")
    ]


def test_what_is_left_to_chance_is_told_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "colour.txt").write_text("red\ngreen\n# a remark\nblue\n")
    text = "a __colour__ {cat|{big|small} dog} {1-2$$x|y|z} {2$$__colour__} {alone}"
    found = shown(text, wildcards=Wildcards([tmp_path]))
    facts = ("depth", "name", "options", "low", "high")
    told = [(text[one["start"] : one["end"]], *(one[fact] for fact in facts)) for one in found["choices"]]
    assert told == [
        ("__colour__", 0, "colour", 3, 1, 1),
        ("{cat|{big|small} dog}", 0, "", 2, 1, 1),
        ("{big|small}", 1, "", 2, 1, 1),
        ("{1-2$$x|y|z}", 0, "", 3, 1, 2),
        ("{2$$__colour__}", 0, "colour", 3, 2, 2),
    ]
    assert found["notices"] == [] and found["choices_left"] == 0


def test_a_choice_does_not_hide_the_schedule_around_it() -> None:
    found = shown("{a|b} [cat:dog:0.5]")
    assert [(entry["from"], entry["until"]) for entry in found["timeline"]] == [(1, 10), (11, 20)]


def test_every_text_of_a_prompt_that_changes_often_is_counted() -> None:
    text = "".join(f"[cat:{'dog ' * (step % 5)}:{step}]" for step in range(1, 40))
    found = shown(text, 40)
    assert len(found["timeline"]) == found["texts"] == 40
    alternating = shown("[a cat|a big dog]", 40)
    assert [entry["tokens"] for entry in alternating["timeline"]] == [2, 3] * 20


def test_what_is_too_long_to_be_shown_is_counted() -> None:
    text = "word " * 15_000 + "".join(f"[a:b:{step}]" for step in range(1, 10))
    found = shown(text, 20)
    assert found["texts"] == 10 > len(found["timeline"]) >= 2
    many = shown("(a:1.2) b " * 3000)
    assert len(many["spans"]) + many["spans_left"] == 6000 and many["spans_left"] > 0
