"""compel's syntax: what it means, and that it is what compel's own parser reads."""

import random
from functools import cache
from typing import Any

import pytest

from pipelines.prompts.compel_syntax import read
from pipelines.prompts.extras import extras
from pipelines.prompts.grammar import schedule
from pipelines.prompts.traced import typed

PROMPTS = (
    "a photo of a cat",
    "cat++ dog--",
    "(cat)1.3 (dog)0.5",
    "(a (b)1.2 c)++",
    '("a", "b").blend(0.7, 0.3)',
    '("a", "b").blend(1, 1, no_normalize)',
    '("a cat++", (a dog)0.5, bird).and()',
    '("a", "b").and(1, 0.5)',
    '("a = 1", "b").add()',
    "1,5",
    ",,a",
    "(a + b)",
    "c++ code",
    "well-known -word -5 a--b",
    r"\(a\) \"b\" a\+",
    '"quoted words"++ x',
    "word.attend(1.5) (x).attend(--)",
    "a cat.swap(dog, s_end=0.5) runs",
    "withLora(x, 0.5) a cat useLora(y)",
    "(cat:1.3) BREAK [dog] AND",
    "((a)1.1 b)1.1",
    "(unclosed (a)",
    "unopened) a",
    '"unclosed a',
    "a\nb\tc",
    '("a").blend()',
    '("a", "b").and() and more',
)


@cache
def compels_parser() -> Any:
    return pytest.importorskip("compel.prompt_parser").PromptParser()


def said(prompt: str) -> tuple[str, list[list[tuple[str, float]]], list[float], list[tuple[str, float]]]:
    found = read(typed(prompt))
    networks = [(network.name, network.weight) for network in found.networks]
    if found.parts[0].kind == "blend":
        sections = [part.sections[0] for part in found.parts]
        weights = [part.weight for part in found.parts]
    else:
        sections = list(found.parts[0].sections)
        weights = list(found.parts[0].section_weights or [1.0] * len(sections))
    return found.parts[0].kind, [[(span.text, span.weight) for span in section] for section in sections], weights, networks


def oracle(prompt: str) -> Any:
    """The same from compel; raises what compel raises, and gives None where compel says nothing at all."""
    parser = pytest.importorskip("compel.prompt_parser")

    def words(flat: Any) -> list[tuple[str, float]]:
        found = []
        for fragment in flat.children:
            swap = isinstance(fragment, parser.CrossAttentionControlSubstitute)
            found += [(each.text, each.weight) for each in (fragment.original if swap else [fragment])]
        return found

    conjunction = compels_parser().parse_conjunction(prompt)
    if not conjunction.prompts:
        return None
    networks = [(network.model, float(network.weight)) for network in conjunction.lora_weights]
    first = conjunction.prompts[0]
    if isinstance(first, parser.Blend):
        total = sum(first.weights) if first.normalize_weights else 1.0
        return "blend", [words(flat) for flat in first.prompts], [weight / total for weight in first.weights], networks
    return "and", [words(flat) for flat in conjunction.prompts], list(conjunction.weights), networks


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_same_as_compels_parser(prompt: str) -> None:
    assert said(prompt) == oracle(prompt)


def test_the_same_as_compels_parser_on_anything() -> None:
    """Prompts put together at random from what its syntax is made of; where compel raises, we need only not to."""
    draw = random.Random(11)
    signs = ["a", "bc ", " ", "(", ")", '"', "+", "--", ",", ".", "1.3", "(a b)", "(cat)1.3", "dog++", '"q r"', "\\(", "=", ".and()"]
    members = ['"a b"', "(c d)", "w", '"x++ y"', '"(k)1.2 = z"', "(e (f)0.5)"]
    options = ["", "1,2", "0.7, 0.3", "1", "1,1,no_normalize", "a", "k=1"]
    for _ in range(60):
        prompts = ["".join(draw.choices(signs, k=draw.randint(1, 6)))]
        combined = draw.choice(["and", "blend", "add"])
        chosen = ", ".join(draw.choices(members, k=draw.randint(1, 3)))
        prompts.append(f"({chosen}).{combined}({draw.choice(options)}){draw.choice(['', ' ', 'x'])}")
        for prompt in prompts:
            try:
                expected = oracle(prompt)
            except pytest.skip.Exception:
                raise
            except Exception:
                expected = None
            assert said(prompt) == expected or expected is None, prompt


def test_a_blend_is_several_parts_of_one_conditioning() -> None:
    (timed,) = schedule('("a", "b++").blend(3, 1)', 20, "compel")
    assert [(part.kind, part.weight, part.sections[0][0].text) for part in timed.parts] == [("blend", 0.75, "a"), ("blend", 0.25, "b")]
    assert timed.until == 20


def test_and_is_several_sections() -> None:
    ((part,),) = [timed.parts for timed in schedule('("a", "b").and(1, 0.5)', 20, "compel")]
    assert [section[0].text for section in part.sections] == ["a", "b"]
    assert part.section_weights == (1.0, 0.5)


@pytest.mark.parametrize("prompt", ['("a", "b").blend(1)', '("a", "b").blend(1, 1) c', '("a", "b").blend(1, -1)', '("a", "b").and(x, y)'])
def test_where_compel_stops_the_prompt_is_words_and_a_notice_says_so(prompt: str) -> None:
    found = read(typed(prompt))
    assert len(found.parts) == 1
    assert len(found.parts[0].sections) == 1
    assert [notice.sentence.split()[0] for notice in found.notices] == [f"“.{'and' if 'and' in prompt else 'blend'}”"]


def test_what_is_not_supported_or_of_the_other_syntax_is_told() -> None:
    sentences = [notice.sentence for notice in read(typed("cat.swap(dog) (a:1.2) BREAK")).notices]
    assert sentences == [
        "“.swap” is not supported; 'dog' is left out and the words before it stay.",
        "'(a:1.2)' is A1111's syntax; in compel's it is read as words.",
        "'BREAK' is A1111's syntax; in compel's it is read as words.",
    ]


def test_networks_of_both_kinds_are_found() -> None:
    text, networks = extras("<lora:x:0.5> withLora(y, 0.7) a", "compel")
    assert [(network.name, network.weight) for network in networks] == [("x", 0.5), ("y", 0.7)]
    assert text == " withLora(y, 0.7) a"
    ((part,),) = [timed.parts for timed in schedule("<lora:x:0.5> withLora(y, 0.7) a", 5, "compel")]
    assert [span.text for span in part.sections[0]] == ["a"]


def test_spans_know_where_they_stood() -> None:
    text = r"# note" + '\n<lora:x:1>("a,b \\(c\\)", (d (e)1.2 f)++).blend()'
    for timed in schedule(text, 5, "compel"):
        for part in timed.parts:
            for span in part.sections[0]:
                words = [(span.text[offset], text[span.source(offset)]) for offset in range(len(span.text))]
                assert all(here == there for here, there in words if here != " ")
