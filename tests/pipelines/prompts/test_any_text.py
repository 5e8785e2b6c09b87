"""Every text means something, in time that grows with its length: no crash, no hang, whatever is typed."""

import json
import sys
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import StudioError
from pipelines.prompts import clip_tokenizer, styles
from pipelines.prompts.analysis import analyse
from pipelines.prompts.expand import expand
from pipelines.prompts.extras import extras
from pipelines.prompts.grammar import schedule
from pipelines.prompts.many import lines, matrix
from pipelines.prompts.tokens import chunks
from pipelines.prompts.tree import SYNTAXES, WEIGHT_LIMIT, Syntax, Timed

TOKENIZER = clip_tokenizer.openai()
PIECES = (
    "cat", " ", "(", ")", "[", "]", ":", "|", "{", "}", "<", ">", '"', "\\", ",", ".", "+", "-", "=", "#", "\n", "1.2", "3", "$$", "::",
    "__", "(a:1.2)", "[a:b:0.5]", "[a|b]", "<lora:x:1>", "BREAK", " AND ", ".and()", ".blend(1,2)",
    ".swap(b)", "\ud800", "\0", "שלום", "👩‍👩‍👧", "\u202e", "é",
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
LONG = (
    "(",
    "[",
    "((a:1.2)",
    "[a:b:3]",
    "[a|b",
    "<a:",
    "#x\n",
    " :",
    "BREAK ",
    " AND ",
    "a)+",
    '"a',
    '"',
    "(a)1.",
    "1,",
    "\ud800",
    "a.swap(",
)


def finite(timed: tuple[Timed, ...], text: str, steps: int) -> None:
    ends = [entry.until for entry in timed]
    assert ends == sorted(set(ends))
    assert ends[-1] == steps
    for part in (part for entry in timed for part in entry.parts):
        assert abs(part.weight) <= WEIGHT_LIMIT
        for span in (span for section in part.sections for span in section):
            assert abs(span.weight) <= WEIGHT_LIMIT
            assert 0 <= span.start <= span.end <= len(text)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(1, 12), st.sampled_from(SYNTAXES))
def test_any_text_has_a_schedule(text: str, steps: int, syntax: str) -> None:
    finite(schedule(text, steps, syntax), text, steps)  # type: ignore[arg-type]
    for network in extras(text, syntax)[1]:  # type: ignore[arg-type]
        assert text[network.start] in "<wu"


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(SYNTAXES))
def test_any_text_can_be_shown(text: str, syntax: str) -> None:
    shown = analyse(text, 6, TOKENIZER, ["x"], {"cat": 3}, syntax)  # type: ignore[arg-type]
    json.dumps(shown, allow_nan=False, ensure_ascii=False).encode()
    for span in shown["spans"]:
        assert 0 <= span["start"] <= span["end"] <= len(text)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(0, 2**32 - 1))
def test_any_text_expands_or_is_told_why_not(text: str, seed: int) -> None:
    for read in (lambda: expand(text, seed), lambda: matrix(text), lambda: lines(text)):
        try:
            assert read() == read()
        except StudioError as error:
            assert str(error).endswith(".")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_styles_or_told_why_not(data: bytes) -> None:
    try:
        found = styles.read(data)
    except StudioError:
        return
    assert [style.name for style in styles.read(styles.written(found))] == [style.name for style in found]


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_any_text_has_tokens(text: str) -> None:
    ids = TOKENIZER(text)
    assert all(0 <= start <= end <= len(text) for start, end in TOKENIZER.offsets(text))
    for entry in schedule(text, 2):
        for part in entry.parts:
            cut = chunks(part, TOKENIZER, TOKENIZER.marks, {"cat": 2})
            assert cut
            assert all(len(chunk.ids) == len(chunk.weights) == 77 for chunk in cut)
    assert len(TOKENIZER.offsets(text)) == len(ids)


def seconds(act: Callable[[], object]) -> float:
    """Processor time, which does not count what others do on the machine; the lesser of two."""
    taken = []
    for _ in range(2):
        begin = time.process_time()
        act()
        taken.append(time.process_time() - begin)
    return max(min(taken), 1e-4)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_time_grows_with_the_length(syntax: str) -> None:
    """Ten times the text takes about ten times as long; quadratic work would take a hundred."""
    for piece in LONG:
        short, long = ((piece * size)[:size] for size in (2_000, 20_000))
        assert any(_times_longer(long, short, syntax) < 45 for _ in range(3)), piece  # one such measurement may fall into a busy moment


def _times_longer(long: str, short: str, syntax: str) -> float:
    return seconds(lambda: schedule(long, 4, syntax)) / seconds(lambda: schedule(short, 4, syntax))  # type: ignore[arg-type]


def work(act: Callable[[], object]) -> int:
    """Calls of functions, Python's and C's, that something takes: the same on every machine."""
    calls = 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(before)
    return calls


NESTED = {"(": ")", "[": "]", "[a:": ":0.5]", "[a|": "]", "(a": ":1.1)", "([": "])", "[a,b:": "3]", "{a|": "}"}


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("opening", NESTED)
def test_nested_brackets_are_shown_in_work_that_grows_with_them(opening: str, syntax: Syntax) -> None:
    """Ten times as many take about ten times the calls; quadratic work would take a hundred."""
    taken = []
    for many in (150, 1500):
        text = opening * many + "a" + NESTED[opening] * many
        taken.append(work(lambda text=text: analyse(text, 150, TOKENIZER, syntax=syntax)))
    assert taken[1] < 12 * taken[0], taken


ORDINARY = ("a red fox in the snow, (sharp focus:1.2), ", "a fox [cat:dog:0.5], ", "[day|night] in the town, ", "a fox BREAK a town, ")


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("piece", ORDINARY)
def test_showing_a_prompt_takes_work_in_proportion_to_it_however_many_steps(piece: str, syntax: Syntax) -> None:
    text = piece * (20_000 // len(piece))
    assert work(lambda: analyse(text, 150, TOKENIZER, syntax=syntax)) < 60 * len(text)


def test_brackets_any_number_deep() -> None:
    deep = "(" * 50_000 + "a" + ")" * 50_000
    finite(schedule(deep, 4), deep, 4)
    finite(schedule(deep, 4, "compel"), deep, 4)
    edits = "[" * 20_000 + "a" + ":b:2]" * 20_000
    finite(schedule(edits, 4), edits, 4)
