"""Reading a case: names and numbers as people write them, refused with one line where they cannot be meant."""

import math
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from kpi.refusal import BadInput

_DURATION: Final = re.compile(r"^([-+]?[0-9.eE+_]+)\s*(s|min|h|d)$")
_SECONDS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
LARGEST: Final = 1e15
SMALLEST: Final = 1e-15
"""Beyond these a number is a slip, and products of it would leave what floats can hold."""


def block(where: str, given: object, names: Iterable[str], synonyms: Mapping[str, str]) -> dict[str, Any]:
    """A mapping with the synonyms replaced and what is null left out. Raises BadInput for anything else."""
    if not isinstance(given, Mapping):
        raise BadInput(f"{where} is not a mapping; write 'name: value' lines below it")
    allowed = frozenset(names)
    found: dict[str, Any] = {}
    for word, value in given.items():
        name = synonyms.get(str(word), str(word))
        if name not in allowed:
            raise BadInput(f"{where}: unknown name {word!r}{_nearest(str(word), {*allowed, *synonyms})}")
        if value is None:
            continue
        if name in found:
            raise BadInput(f"{where}: {name} is given twice ({word!r} means the same); leave one out")
        found[name] = value
    return found


def number(where: str, value: object, *, negative: bool = False) -> float:
    """A finite number, also as text. Names that end in ``_s`` take durations too: ``420 min``, ``7 h``.

    Raises BadInput for anything else, and for what is below 0 unless ``negative``.
    """
    found = _number(where, value)
    if not math.isfinite(found):
        raise BadInput(f"{where} is {found}; give a finite number, or leave it out")
    if found and not SMALLEST <= abs(found) <= LARGEST:
        raise BadInput(f"{where} is {found:g}, beyond all that a plant measures; correct it, or its unit")
    if found < 0 and not negative:
        raise BadInput(f"{where} is {found:g}, below 0; correct the sign, or leave it out")
    return found


def above_0(where: str, value: object, remedy: str) -> float:
    """A finite number above 0; raises BadInput with the remedy for 0."""
    found = number(where, value)
    if not found:
        raise BadInput(f"{where} is 0; {remedy}")
    return found


def numbers(where: str, values: object) -> list[float]:
    """A list of finite numbers of any sign."""
    if not isinstance(values, list | tuple):
        raise BadInput(f"{where} is not a list; write [1.0, 2.0, ...]")
    return [number(f"{where}[{index}]", value, negative=True) for index, value in enumerate(values, start=1)]


def _number(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadInput(f"{where} is {value!r}, not a number")
    if isinstance(value, str):
        timed = _DURATION.match(value.strip()) if where.endswith("_s") else None
        text, scale = (timed[1], _SECONDS[timed[2]]) if timed else (value, 1.0)
        try:
            return float(text) * scale
        except ValueError:
            remedy = "; write seconds, or '420 min', '7 h'" if where.endswith("_s") else "; write it without its unit"
            raise BadInput(f"{where} is {value!r}, not a number{remedy}") from None
    try:
        return float(value)
    except OverflowError:
        raise BadInput(f"{where} is too large a number") from None


def _nearest(word: str, names: Iterable[str]) -> str:
    close = get_close_matches(word, sorted(names), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else "; docs/calc.md lists the names"
