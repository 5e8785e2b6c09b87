"""Wildcards and variants, by seed."""

from collections import Counter
from pathlib import Path

import pytest

from pipelines.errors import InvalidRequest
from pipelines.prompts.expand import expand, is_dynamic
from pipelines.prompts.wildcards import Wildcards


@pytest.fixture
def wildcards(tmp_path: Path) -> Wildcards:
    (tmp_path / "hair").mkdir()
    (tmp_path / "colour.txt").write_text("\ufeffred\n# no colour\n\n blue \n", encoding="utf-8")
    (tmp_path / "hair" / "style.txt").write_text("long __colour__\nshort __colour__\n", encoding="utf-8")
    (tmp_path / "hair" / "kind.txt").write_text("curly\n", encoding="utf-8")
    (tmp_path / "loop.txt").write_text("__loop__ __loop__\n", encoding="utf-8")
    (tmp_path / "self.txt").write_text("__self__\n", encoding="utf-8")
    (tmp_path / "none.txt").write_text("# nothing\n", encoding="utf-8")
    (tmp_path / "two words_x.txt").write_text("fine\n", encoding="utf-8")
    return Wildcards([tmp_path, tmp_path / "missing"])


def outcomes(text: str, wildcards: Wildcards | None = None, seeds: int = 300) -> Counter[str]:
    return Counter(expand(text, seed, wildcards) for seed in range(seeds))


def test_names(wildcards: Wildcards) -> None:
    assert wildcards.names() == ["colour", "hair/kind", "hair/style", "loop", "none", "self", "two words_x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a __colour__ cat", {"a red cat", "a blue cat"}),
        ("__hair/style__", {"long red", "long blue", "short red", "short blue"}),
        ("__hair/k*__", {"curly"}),
        ("__col?ur__", {"red", "blue"}),
        ("__two words_x__", {"fine"}),
        ("{a|b|}", {"a", "b", ""}),
        ("{a|{b|c}d}", {"a", "bd", "cd"}),
        ("{2$$a|b}", {"a, b", "b, a"}),
        ("{1-2$$ and $$a|b}", {"a", "b", "a and b", "b and a"}),
        ("{-1$$a|b}", {"", "a", "b"}),
        ("{2-$$+$$a|b}", {"a+b", "b+a"}),
        ("{9$$a|b}", {"a, b", "b, a"}),
        ("{2$$__colour__}", {"red, blue", "blue, red"}),
        ("{0::a|b}", {"b"}),
        ("{__colour__|x}", {"red", "blue", "x"}),
    ],
)
def test_what_may_come_out(wildcards: Wildcards, text: str, expected: set[str]) -> None:
    assert set(outcomes(text, wildcards)) == expected
    assert is_dynamic(text)


@pytest.mark.parametrize(
    "text", ["a cat", "{{masterpiece}}", "{a}", r"\{a\|b\}", "a | b", "{a", "a}", "{a|b", "_a_", "__", "____", "__ a __", "$$"]
)
def test_what_stays(wildcards: Wildcards, text: str) -> None:
    assert set(outcomes(text, wildcards, 3)) == {text}
    assert not is_dynamic(text)


def test_the_seed_decides_and_nothing_else(wildcards: Wildcards) -> None:
    text = "{a|b|c} __colour__ {2$$d|e|f}"
    assert [expand(text, seed, wildcards) for seed in range(20)] == [expand(text, seed, wildcards) for seed in range(20)]
    assert expand("{a|b|c|d|e|f}", 7) == "f", "the draw must not change: recipes and habits rest on it"


def test_weights_are_kept_on_average() -> None:
    counts = outcomes("{3::a|b}", seeds=2000)
    assert counts["a"] / counts["b"] == pytest.approx(3, rel=0.2)
    first = Counter(expand("{2$$3::a|b|c}", seed)[0] for seed in range(2000))
    assert first["a"] / 2000 == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("__color__", "There is no wildcard named '__color__'; like it are: colour."),
        ("__zzz__", "There is no wildcard named '__zzz__'; there are 7, such as: colour, hair/kind, hair/style, loop, none."),
        ("__../hair/kind/x__", "There is no wildcard named"),
        ("__none__", "The wildcard '__none__' must have a line to choose; it has none."),
        ("__self__", "Wildcards may call one another 32 deep; __self__ lies deeper."),
        ("__loop__", "Wildcards may call one another 32 deep; __loop__ lies deeper."),
        ("a" * 100_001, "A prompt may expand to at most 100,000 characters; this one does to more."),
        ("{" * 101, "Braces may lie 100 deep in one another; these lie deeper."),
        ("{a|b}" * 10_001, "A prompt may expand to at most 10,000 choices; this one does to more."),
    ],
)
def test_what_cannot_be_is_told(wildcards: Wildcards, text: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        expand(text, 0, wildcards)
    assert str(caught.value).startswith(sentence)


def test_no_wildcards_at_all() -> None:
    with pytest.raises(InvalidRequest, match="there are none"):
        expand("__a__", 0)


def test_the_first_folder_wins_and_large_files_are_refused(tmp_path: Path) -> None:
    for name, content in (("one", "first"), ("two", "second")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(content)
    assert Wildcards([tmp_path / "one", tmp_path / "two"]).values("a") == ("first",)
    (tmp_path / "two" / "b.txt").write_bytes(b"x\n" * (2**21 + 1))
    with pytest.raises(InvalidRequest, match="at most 4 MB"):
        Wildcards([tmp_path / "two"]).values("b")
