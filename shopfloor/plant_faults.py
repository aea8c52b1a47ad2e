"""Faults of a plant file's shape in words: what is wrong, and what to write instead. One mistake, one line."""

import difflib
from collections.abc import Iterable
from functools import cache

from pydantic_core import ErrorDetails

from shopfloor.calendar_checks import Problem
from shopfloor.plant_fields import Doc
from shopfloor.yaml_lines import Place

ABSENT = "is missing"
_WRONG_SHAPE = {
    "string_type": "write a text",
    "dict_type": "write a mapping, e.g. {key: value}",
    "model_type": "write a mapping, e.g. {key: value}",
    "model_attributes_type": "write a mapping, e.g. {key: value}",
    "list_type": "write a list, e.g. [one, two]",
}


_BRANCHES = {"str", "constrained-str"}
"""Steps that validation adds to a place for the branches of a choice, beside the mappings' own names."""


def explained(errors: Iterable[ErrorDetails]) -> list[Problem]:
    """One problem per mistake: of a choice of shapes the one that was meant, and no echo of a misspelling."""
    kept = _meant(list(errors))
    misspelt = {
        (*place[:-1], close)
        for place in (error["loc"] for error in kept if error["type"] == "extra_forbidden")
        if (close := _nearest(str(place[-1])))
    }
    return [
        (_place(error), _text(error)) for error in kept if not (error["type"] == "missing" and error["loc"] in misspelt)
    ]


def _meant(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """A choice of shapes reports each shape's fault: keep the faults of the shape that the writer meant."""
    deepest: dict[Place, int] = {}
    for error in errors:
        for depth in range(len(_place(error)) + 1):
            place = _place(error)[:depth]
            deepest[place] = max(deepest.get(place, 0), len(_place(error)))
    worded = {_place(error) for error in errors if error["type"] == "value_error"}
    return [
        error
        for error in errors
        if error["type"] not in _WRONG_SHAPE
        or (deepest[_place(error)] == len(_place(error)) and _place(error) not in worded)
    ]


def _place(error: ErrorDetails) -> Place:
    return tuple(step for step in error["loc"] if not _is_branch(step))


def _is_branch(step: str | int) -> bool:
    return isinstance(step, str) and ("[" in step or step in _BRANCHES or step in _docs())


def _text(error: ErrorDetails) -> str:
    kind, given, word = error["type"], error["input"], str(error["loc"][-1])
    if kind == "extra_forbidden":
        return f"unknown field {word!r}; {_instead(word)}"
    if kind == "missing":
        return f"{ABSENT}; add it"
    if kind in ("enum", "literal_error"):
        expected = str(error.get("ctx", {}).get("expected", "")).replace("True", "true")
        return f"{given!r} is not allowed; use {'one of ' if ' or ' in expected else ''}{expected}"
    if kind == "string_pattern_mismatch":
        return f"{given!r} is not an id; use lower-case letters, digits and hyphens, at most 32"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "too_short":
        return "is empty; add at least one entry"
    if kind in _WRONG_SHAPE:
        return f"{given!r} does not fit here; {_WRONG_SHAPE[kind]}"
    return f"{given!r}: {error['msg'][:1].lower()}{error['msg'][1:]}"


def _instead(word: str) -> str:
    if word == "valid_from":
        return "write the dated field itself as a list of {valid_from: DATE, value: ...}"
    close = _nearest(word)
    return f"did you mean {close!r}?" if close else "remove it"


def _nearest(word: str) -> str | None:
    known = {field.alias or name for each in _docs().values() for name, field in each.model_fields.items()} - {word}
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1)), None)


@cache
def _docs() -> dict[str, type[Doc]]:
    """Every mapping that the file may have, by its class."""
    found: dict[str, type[Doc]] = {}
    left = [Doc]
    while left:
        left += (each := left.pop()).__subclasses__()
        found[each.__name__] = each
    return found
