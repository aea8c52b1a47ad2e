"""Whether a stored thing is what is wanted, and how it differs. Pure.

The server adds ids, versions and defaults of its own, so what is stored is held against the wanted fields alone.
"""

import json
from collections.abc import Mapping, Sequence
from difflib import unified_diff
from typing import Any, Final

_HIDDEN: Final = "(not shown)"
_WORDS_IN_ADDRESSES: Final = frozenset({"url", "user", "addresses", "chatid"})
"""Settings that a difference names and does not show: gateways take keys in their addresses."""


def seen(wanted: Any, stored: Any) -> Any:
    """What is stored, cut down to the fields that are wanted; lists keep their length."""
    if isinstance(wanted, Mapping) and isinstance(stored, Mapping):
        return {key: seen(wanted[key], stored[key]) for key in wanted if key in stored}
    if _is_list(wanted) and _is_list(stored):
        cut = [seen(one, other) for one, other in zip(wanted, stored, strict=False)]
        return [*cut, *stored[len(cut) :]]
    return stored


def holds(wanted: Any, stored: Any) -> bool:
    """Whether every wanted field is stored as it is wanted."""
    return bool(seen(wanted, stored) == wanted)


def difference(name: str, wanted: Any, stored: Any) -> list[str]:
    """Lines of a unified diff from what is stored, None for nothing, to what is wanted."""
    before = [] if stored is None else _lines(seen(wanted, stored))
    after = _lines(wanted)
    told = list(unified_diff(before, after, f"Grafana: {name}", f"wanted: {name}", lineterm="", n=2))
    if told or stored is None or holds(wanted, stored):
        return told
    return [f"{name}: what differs is not shown"]


def _lines(body: Any) -> list[str]:
    return json.dumps(_shown(body), indent=1, ensure_ascii=False, sort_keys=True).splitlines()


def _shown(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {
            key: _HIDDEN if key in _WORDS_IN_ADDRESSES and value and isinstance(value, str) else _shown(value)
            for key, value in node.items()
        }
    return [_shown(each) for each in node] if _is_list(node) else node


def _is_list(node: Any) -> bool:
    return isinstance(node, Sequence) and not isinstance(node, str)
