"""YAML as data with lines: every fault of the text is a problem with its line, never an exception, never a crash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor.yaml_lines import parse


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_what_is_nested_without_end_is_refused(opening: str) -> None:
    document = parse(opening * 100_000)
    assert [words for _, words in document.problems] == [
        "it is nested too deep, or an alias refers to itself; write the value out"
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("é" * 40 + ": 1\né: \x07", 2, "a control character stands here"),
        ("a: 1\né: \ud800", 2, "a control character stands here"),
        ("a: 1\nb: [1", 2, "not YAML: did not find expected ',' or ']'"),
        ("a: 1\n\tb: 2", 2, "not YAML: found a tab character that violates indentation"),
        ("a: &x\n  b: *x", 1, "an alias refers to itself"),
        ("a: !!python/object:os.system x", 1, "not YAML: could not determine a constructor"),
        ("a: 1\nb: !!int foo", 2, "'foo' is no int; write another value"),
        ("a: 1\n!!bool foo: 1", 2, "'foo' is no bool; write another value"),
        ("a: 1\nb: !!timestamp foo", 2, "'foo' is no timestamp; write another value"),
        ("a: 1\nb: " + "9" * 5_000, 2, "is no int; write another value"),
    ],
)
def test_a_fault_is_told_with_its_line(text: str, line: int, words: str) -> None:
    document = parse(text)
    ((place, told),) = document.problems
    assert words in told
    assert document.line(place) == line


def test_a_mapping_may_say_otherwise_than_what_it_merges() -> None:
    document = parse("a: &a {x: 1, y: 1}\nb: &b {<<: *a, x: 2}\nc: {x: 3, <<: [*b, *a]}\nd: *b\ne: {x: 1,\n x: 2}")
    assert document.data["b"] == document.data["d"] == {"x": 2, "y": 1}
    assert document.data["c"] == {"x": 3, "y": 1}
    assert document.problems == [(("e", "x"), "the key 'x' stands twice; remove or rename one")]
    assert document.line(("e", "x")) == 6


LAUGHS = [
    "a0: &a0 [x, x, x, x, x, x, x, x, x]",
    *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)),
]
MERGES = ["a0: &a0 {x: 1, y: 2}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 9))]


@pytest.mark.parametrize("lines", [LAUGHS, MERGES])
def test_aliases_of_aliases_are_refused_before_they_fill_the_memory(lines: list[str]) -> None:
    document = parse("\n".join(lines))
    assert [words for _, words in document.problems] == [
        "with its aliases it has over 1,000,000 entries; write fewer of them"
    ]
    assert parse("\n".join(lines[:5])).problems == []


@given(st.text(st.sampled_from("ab:-[]{},&*!?|>%@'\"# \n\t\\01é\x07"), max_size=40))
def test_no_text_does_anything_but_parse_or_be_told(text: str) -> None:
    document = parse(text)
    assert all(1 <= document.line(place) <= text.count("\n") + 1 for place, _ in document.problems)
