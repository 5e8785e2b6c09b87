"""Prompt matrix, lists of prompts, and styles."""

import pytest

from pipelines.errors import InvalidRequest, UnknownName
from pipelines.names import resolve
from pipelines.prompts.many import lines, matrix
from pipelines.prompts.styles import Style, applied, read, written


def test_matrix_in_a1111s_order() -> None:
    assert matrix("a cat| red,| blue ") == ["a cat", "a cat, red", "a cat, blue", "a cat, red, blue"]
    assert matrix("a|b", at_start=True) == ["a", "b, a"]
    assert matrix("a|b", delimiter=" ") == ["a", "a b"]
    assert matrix("a") == ["a"]
    with pytest.raises(InvalidRequest, match="so 8 bars; got 9 bars"):
        matrix("|" * 9)


def test_lines() -> None:
    options = '--prompt "a dog" --negative_prompt "bad \\"x\\"" --steps 20 --cfg_scale 7.5 --seed 5 --width 640 --height 320'
    text = f"\na cat\n{options}\na -- b --steps 3\n"
    assert lines(text) == [
        {"prompt": "a cat"},
        {
            "prompt": "a dog",
            "negative_prompt": 'bad "x"',
            "num_inference_steps": 20,
            "guidance_scale": 7.5,
            "seed": 5,
            "width": 640,
            "height": 320,
        },
        {"prompt": "a -- b --steps 3"},
    ]


def test_lines_know_samplers_batches_and_prompts_without_quotes() -> None:
    assert lines('--prompt a red cat --batch_size 2 --n_iter 3 --sampler_name "Euler a"') == [
        {"prompt": "a red cat", "num_images_per_prompt": 6, "scheduler": resolve("Euler a")[0]}
    ]
    assert lines('--sampler_name "DPM++ 2M Karras" --sd_model x.safetensors') == [
        {"scheduler": "dpmpp_2m", "schedule": "karras", "checkpoint": "x.safetensors"}
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--tiling true", "Line 2: there is no option '--tiling'; known: prompt, "),
        ("--steps", "Line 2: --steps must be followed by its value; there is none."),
        ("--steps many", "Line 2: 'many' is no value of --steps."),
        ("--sampler_name Best", "Line 2: 'Best' is no value of --sampler_name."),
        ("--steps 20 words", "Line 2: there is no option 'words'"),
        ('--prompt "a', "Line 2 must close its quotes"),
    ],
)
def test_lines_that_cannot_be_read(line: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        lines(f"a\n{line}")
    assert str(caught.value).startswith(sentence)


def test_notes_and_empty_lines_count_for_nothing() -> None:
    assert lines("# animals\n\na cat\n  # and more\na dog") == [{"prompt": "a cat"}, {"prompt": "a dog"}]


def test_too_many_lines() -> None:
    with pytest.raises(InvalidRequest, match="at most 1000 lines; got 1001"):
        lines("a\n" * 1001)


STYLES = [Style("Film", "{prompt}, 35 mm, “grain”", "digital"), Style("Ink", 'ink, "dry"\nbrush'), Style("No", "", "text")]


def test_styles_are_read_as_written() -> None:
    assert read(written(STYLES)) == STYLES
    assert written(STYLES).startswith(b"\xef\xbb\xbfname,prompt,negative_prompt\r\n")


def test_styles_of_others() -> None:
    assert read(b"name,text\nOld, a b \n") == [Style("Old", "a b ")]
    assert read(b"negative_prompt,name,extra,prompt\nbad,A,1,good\n#x,#note,,\n,,,\nworse,A,1,better") == [Style("A", "better", "worse")]
    assert read(b"name,prompt,negative_prompt\nshort\n") == [Style("short")]
    assert read(b"") == []


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", b"name\nx\n", b'name,prompt\n"' + b"x" * 200_000, b"x" * (4 * 2**20 + 1)])
def test_files_that_are_no_styles(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read(data)


def test_styles_are_put_around() -> None:
    assert applied("a cat", "bad", ["Film", "Ink", "No"], STYLES) == ('a cat, 35 mm, “grain”, ink, "dry"\nbrush', "bad, digital, text")
    assert applied("", "", ["Ink"], STYLES) == ('ink, "dry"\nbrush', "")
    with pytest.raises(UnknownName, match="'Oil'; known: Film, Ink, No"):
        applied("a", "", ["Oil"], STYLES)
