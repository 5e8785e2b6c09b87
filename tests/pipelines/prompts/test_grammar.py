"""What A1111 prompts mean: tables of texts, what comes out, and why."""

import pytest

from pipelines.errors import InvalidRequest, UnknownName
from pipelines.prompts.extras import extras
from pipelines.prompts.grammar import at, schedule
from pipelines.prompts.tree import Span


def spans(text: str, **options: object) -> list[tuple[str, float]]:
    """(text, weight) of a prompt that is one part of one section and does not change."""
    (timed,) = schedule(text, 10, **options)
    (part,) = timed.parts
    (section,) = part.sections
    return [(span.text, pytest.approx(span.weight)) for span in section]


def texts(text: str, steps: int = 10, **options: object) -> list[tuple[int, str]]:
    """(until, text) with weights left aside."""
    return [
        (timed.until, "".join(span.text for part in timed.parts for section in part.sections for span in section))
        for timed in schedule(text, steps, **options)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a photo of a cat", [("a photo of a cat", 1.0)], id="plain"),
        pytest.param("", [("", 1.0)], id="empty is one empty span"),
        pytest.param("two\nlines ", [("two\nlines", 1.0)], id="line breaks stay, blanks at the end go with the weight at the end"),
        pytest.param("a (b) c", [("a ", 1.0), ("b", 1.1), (" c", 1.0)], id="round brackets"),
        pytest.param("((a))", [("a", 1.21)], id="nested"),
        pytest.param("[a]", [("a", 1 / 1.1)], id="square brackets"),
        pytest.param("[a:b]", [("a:b", 1 / 1.1)], id="an edit without a number is emphasis"),
        pytest.param("(a:1.3)", [("a", 1.3)], id="weight"),
        pytest.param("(a : 1.3 )", [("a ", 1.3)], id="blanks around a weight"),
        pytest.param("(a:-1)", [("a", -1.0)], id="negative"),
        pytest.param("(a:+.5)", [("a", 0.5)], id="sign and point"),
        pytest.param("(a:1e2)", [("a:1e2", 1.1)], id="1e2 is no weight"),
        pytest.param("(a:1.2:1.3)", [("a:1.2", 1.3)], id="the last number counts"),
        pytest.param("(a:b)", [("a:b", 1.1)], id="a colon in the text"),
        pytest.param("(a:1.2.3)", [("a:1.2.3", 1.1)], id="where A1111 stops with an error the number is text"),
        pytest.param("((a:1.5) b)", [("a", 1.65), (" b", 1.1)], id="weights multiply"),
        pytest.param("a:1.2)", [("a:1.2)", 1.0)], id="a weight without a bracket is text"),
        pytest.param("(a", [("a", 1.1)], id="what is not closed reaches to the end"),
        pytest.param("a) b", [("a) b", 1.0)], id="what is not opened is text"),
        pytest.param("[a (b] c)", [("a ", 1 / 1.1), ("b", 1.0), (" c", 1.1)], id="the two kinds of brackets do not see each other"),
        pytest.param(r"\(a\) \[b\] \\", [("(a) [b] \\", 1.0)], id="escapes"),
        pytest.param(r"a\b", [("ab", 1.0)], id="a backslash before anything else goes"),
        pytest.param("(a)(b)", [("ab", 1.1)], id="neighbours of one weight are one text"),
        pytest.param("a {b} <c> d", [("a {b} <c> d", 1.0)], id="other brackets are text"),
    ],
)
def test_weights(text: str, expected: list[tuple[str, float]]) -> None:
    assert spans(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a [b:c:0.5]", [(5, "a b"), (10, "a c")], id="a point makes a fraction"),
        pytest.param("a [b:c:3]", [(3, "a b"), (10, "a c")], id="none makes a step"),
        pytest.param("a [b:.25]", [(2, "a "), (10, "a b")], id="fractions are rounded down; nothing before"),
        pytest.param("a [b::4] c", [(4, "a b c"), (10, "a  c")], id="nothing after"),
        pytest.param("[b : c : 3 ]", [(3, "b "), (10, " c ")], id="blanks around the number"),
        pytest.param("[a:b:1.5]", [(10, "a")], id="beyond the end (1.10 reads 1.5 as fifteen tenths)"),
        pytest.param("[a:b:1e0]", [(1, "a"), (10, "b")], id="an exponent without a point is a step"),
        pytest.param("[a:b:99]", [(10, "a")], id="a step beyond the end"),
        pytest.param("[a:b:0]", [(10, "b")], id="from the start"),
        pytest.param("[a:b:-1]", [(10, "b")], id="before the start"),
        pytest.param("a[b:[c:d:2]:1]e", [(1, "abe"), (2, "ace"), (10, "ade")], id="nested"),
        pytest.param("[(a:2):3]", [(3, ""), (10, "a")], id="brackets inside"),
        pytest.param("((a][:b:c [d:3]", [(3, "a]:b:c "), (10, "a]:b:c d")], id="stray brackets do not hinder"),
        pytest.param("[a:b:c:3]", [(10, "a:b:c:3")], id="three colons are no edit"),
        pytest.param("[a (b:c:3]", [(10, "a b:c:3")], id="nor what does not close inside"),
        pytest.param("x [a:b:3] | y", [(10, "x a:b:3 | y")], id="a bar outside an alternation ends all editing"),
        pytest.param("x [a:b:3] \\", [(10, "x a:b:3 ")], id="so does a backslash at the end"),
        pytest.param("[a:b:3][c:d:6]", [(3, "ac"), (6, "bc"), (10, "bd")], id="two edits"),
    ],
)
def test_editing(text: str, expected: list[tuple[int, str]]) -> None:
    assert texts(text) == expected


def test_alternation() -> None:
    assert texts("[a|b] cow", 4) == [(1, "a cow"), (2, "b cow"), (3, "a cow"), (4, "b cow")]
    assert [text for _, text in texts("[fe|||]male", 5)] == ["female", "male", "female"]  # equal neighbours are one
    assert texts("[a|b:3]", 4) == [(4, "a|b:3")], "a bar and a colon in one bracket are neither"
    assert texts("[[a:b:2]|c]", 4) == [(1, "a"), (2, "c"), (3, "b"), (4, "c")]


def test_equal_neighbours_are_one_entry_wherever_their_words_stand() -> None:
    assert len(schedule("[a|a]", 10)) == 1
    assert schedule("[cat:cat:5]", 10)[0].parts == schedule("cat", 10)[0].parts
    assert hash(schedule("(cat)", 10)[0].parts) == hash(schedule(" (cat)".strip(), 10)[0].parts)


def test_a_second_pass_counts_on_from_the_first() -> None:
    assert texts("a [b:.5] c", 10, steps_before=10) == [(10, "a b c")]
    assert texts("a [b:1.5] c", 10, steps_before=20) == [(5, "a  c"), (10, "a b c")]
    assert texts("a [b:23] c", 10, steps_before=20) == [(3, "a  c"), (10, "a b c")]


def test_old_timelines_read_numbers_from_1_as_steps() -> None:
    assert texts("[a:b:1.5]", 10, old_timelines=True) == [(1, "a"), (10, "b")]
    assert texts("[a:b:.5]", 10, old_timelines=True, steps_before=20) == [(5, "a"), (10, "b")]


def test_which_entry_a_model_call_uses() -> None:
    timed = schedule("[a:b:3]", 10)
    assert [at(timed, call).until for call in range(10)] == [3, 3, 3, 3, 10, 10, 10, 10, 10, 10]
    assert at(timed, 99).until == 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a cat AND a dog", [("a cat", 1.0), (" a dog", 1.0)], id="two"),
        pytest.param("a cat :1.2 AND a dog: -.5", [("a cat", 1.2), (" a dog", -0.5)], id="weights"),
        pytest.param("a cat AND", [("a cat", 1.0), ("", 1.0)], id="nothing behind"),
        pytest.param("SAND AND ANDY and", [("SAND", 1.0), (" ANDY and", 1.0)], id="only the word in capitals"),
        pytest.param("wide 16:9", [("wide 16", 9.0)], id="also without AND"),
        pytest.param("wide 16:9,", [("wide 16:9,", 1.0)], id="a comma prevents it"),
        pytest.param("a:1.2.3", [("a:1.2.3", 1.0)], id="no number"),
        pytest.param("(a:1.2)", [("a", 1.0)], id="a bracket ends it"),
        pytest.param(":2", [("", 2.0)], id="only a weight"),
    ],
)
def test_parts(text: str, expected: list[tuple[str, float]]) -> None:
    (timed,) = schedule(text, 10)
    said = [("".join(span.text for section in part.sections for span in section), part.weight) for part in timed.parts]
    assert said == expected
    assert all(part.kind == "and" for part in timed.parts)


def test_each_part_has_its_own_schedule() -> None:
    read = schedule("[a:b:2] AND [c:d:5]:0.5", 10)
    assert [(timed.until, [part.sections[0][0].text.strip() for part in timed.parts]) for timed in read] == [
        (2, ["a", "c"]),
        (5, ["b", "c"]),
        (10, ["b", "d"]),
    ]


def test_a_negative_prompt_knows_no_and() -> None:
    assert spans("a AND b :2", compose=False) == [("a AND b :2", 1.0)]


def test_break_begins_a_section() -> None:
    ((part,),) = [timed.parts for timed in schedule("a (b) BREAK\nc  BREAK BREAK d", 10)]
    assert [[span.text for span in section] for section in part.sections] == [["a ", "b"], ["c"], [], ["d"]]
    assert spans("BREAKFAST break") == [("BREAKFAST break", 1.0)]


def test_break_inside_brackets_is_a_word_as_in_a1111() -> None:
    assert spans("(a BREAK b)") == [("a", 1.1), ("BREAK", -1.1), ("b", 1.1)]


@pytest.mark.parametrize("text", ["(a:1.2) [b] \\( BREAK", "a (b) [c]"])
def test_emphasis_none_reads_no_syntax(text: str) -> None:
    assert spans(text, emphasis="none") == [(text, 1.0)]


def test_comments() -> None:
    assert texts("a # b\nc\n# d\ne") == [(10, "a \nc\ne")]
    assert texts("# all of it") == [(10, "")]
    assert texts("a #b", comments=False) == [(10, "a #b")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<lora:a>", ("lora", "a", 1.0, 1.0)),
        ("<lora:a b.c:0.8>", ("lora", "a b.c", 0.8, 0.8)),
        ("<lora:a:0.5:0.7>", ("lora", "a", 0.7, 0.5)),  # the text encoder's weight comes first
        ("<lora:a:unet=0.3:te=0.6>", ("lora", "a", 0.3, 0.6)),
        ("<lora:a:te=0.6>", ("lora", "a", 0.6, 0.6)),
        ("<lora:a:-1>", ("lora", "a", -1.0, -1.0)),
        ("<lyco:a:2>", ("lora", "a", 2.0, 2.0)),
        ("<hypernet:a:2>", ("hypernet", "a", 2.0, 2.0)),
    ],
)
def test_networks(text: str, expected: tuple[str, str, float, float]) -> None:
    stripped, (network,) = extras(f"x {text} y")
    assert stripped == "x  y"
    assert (network.kind, network.name, network.weight, network.text_weight) == expected
    assert (network.start, network.end) == (2, 2 + len(text))
    assert network.notice is None
    assert texts(f"x {text} y") == [(10, "x  y")]


def test_a_weight_that_is_no_number_is_told() -> None:
    _, (network,) = extras("<lora:a:strong>")
    assert network.weight == 1.0
    assert network.notice == "The weight 'strong' of 'a' is no number; 1 is used."


def test_what_looks_like_a_network_and_is_none() -> None:
    assert extras("a < b > c <lora:> <:a> <lora") == ("a < b > c <lora:> <:a> <lora", ())


def test_spans_know_where_they_stood() -> None:
    text = "# note\n<lora:x:1>a \\(b\\) [cat:(dog:1.2):5] e"
    for timed in schedule(text, 10):
        for span in timed.parts[0].sections[0]:
            assert [text[span.source(offset)] for offset in range(len(span.text))] == list(span.text)
            assert "".join(text[start:end] for start, end in span.stretches()) == span.text
            assert (span.start, span.end) == (span.source(0), span.source(len(span.text)))
    dog = schedule(text, 10)[1].parts[0].sections[0][1]
    assert dog == Span("dog", 1.2, 0, 0)
    assert text[dog.start : dog.end] == "dog"


def test_unknown_syntax_and_no_steps_are_told() -> None:
    with pytest.raises(UnknownName, match="'nai'"):
        schedule("a", 10, "nai")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="num_inference_steps must be at least 1; got 0"):
        schedule("a", 0)
