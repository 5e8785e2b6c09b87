"""The sheet of several pictures: how it is laid out and labelled, and that every picture lies where its words say."""

import io

import pytest
from PIL import Image

from jobs.contact import GROUND, LARGEST, MOST, NOTHING, Made, layout, sheet
from pipelines.errors import InvalidRequest
from pipelines.prompts.many import matrix


def test_a_matrix_has_two_axes() -> None:
    prompts = matrix("a cat|red|big|at sea")
    laid = layout(prompts, [7] * 8)
    assert laid.title == "a cat"
    assert laid.across == (NOTHING, "red", "big", "red, big") and laid.down == (NOTHING, "at sea")
    assert [prompts[index] for index in laid.order] == [
        "a cat", "a cat, red", "a cat, big", "a cat, red, big",
        "a cat, at sea", "a cat, red, at sea", "a cat, big, at sea", "a cat, red, big, at sea",
    ]  # fmt: skip


def test_a_matrix_of_one_part_is_a_row() -> None:
    laid = layout(matrix("a cat|red"), [7, 7])
    assert (laid.columns, laid.across, laid.down) == (2, (NOTHING, "red"), ())


def test_a_list_has_captions_of_what_differs() -> None:
    laid = layout(["a cat, in oil", "a dog, in oil", "an owl, in oil"], [1, 2, 3])
    assert (laid.title, laid.columns, laid.captions) == ("in oil", 2, ("a cat", "a dog", "an owl"))


def test_pictures_of_one_prompt_are_told_by_their_seeds() -> None:
    assert layout(["a cat", "a cat"], [1, 2]).captions == ("seed 1", "seed 2")
    assert layout(["a cat", "a cat, red"] * 2, [1, 2, 3, 4]).captions[1] == "red, seed 2"


def test_every_picture_lies_in_its_cell() -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)]
    made = [Made(Image.new("RGB", (64, 96), colour), prompt, 7) for colour, prompt in zip(colours, matrix("x|y|z"), strict=True)]
    drawn = Image.open(io.BytesIO(sheet(made)))
    pixels = {pixel for _, pixel in drawn.getcolors(2**24)}
    assert {GROUND, *colours} <= pixels
    places = [
        min((y, x) for x in range(drawn.width) for y in range(drawn.height) if drawn.getpixel((x, y)) == colour) for colour in colours
    ]
    assert places[0][0] == places[1][0] < places[2][0] == places[3][0] and places[0][1] == places[2][1] < places[1][1]


@pytest.mark.parametrize("prompt", ["", "\ud800 (((", "שלום " * 400, "w" * 5000, "👩‍👩‍👧, \0"])
def test_any_words_can_be_written(prompt: str) -> None:
    assert sheet([Made(Image.new("RGB", (16, 16)), prompt, 1), Made(Image.new("RGB", (300, 20)), "b", 2)]).startswith(b"\x89PNG")


def test_a_large_sheet_is_drawn_smaller_and_its_number_is_bounded() -> None:
    many = [Made(Image.new("RGB", (1024, 1024)), f"number {index}", index) for index in range(100)]
    assert max(Image.open(io.BytesIO(sheet(many))).size) <= LARGEST
    for count in (0, MOST + 1):
        with pytest.raises(InvalidRequest, match="A grid has 1 to 256 pictures; got"):
            sheet(many[:1] * count)
