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
    ],
)
def test_a_fault_is_told_with_its_line(text: str, line: int, words: str) -> None:
    document = parse(text)
    ((place, told),) = document.problems
    assert words in told
    assert document.line(place) == line


@given(st.text(st.sampled_from("ab:-[]{},&*!?|>%@'\"# \n\t\\01é\x07"), max_size=40))
def test_no_text_does_anything_but_parse_or_be_told(text: str) -> None:
    document = parse(text)
    assert all(1 <= document.line(place) <= text.count("\n") + 1 for place, _ in document.problems)
