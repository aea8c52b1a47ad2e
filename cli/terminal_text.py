"""What strangers wrote, as a terminal may show it: nothing in it moves the cursor, hides or reorders text."""

from typing import Final

import msgspec

_DEEPEST: Final = 40
"""Brackets deeper than this are not laid out: their indentation would fill the disk."""


def plain(text: str) -> str:
    """The text with everything that is no visible character written as an escape."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def pretty(payload: bytes) -> str:
    """JSON laid out in lines, keys that come twice included; anything else as it is; escaped like ``plain``."""
    return "\n".join(plain(line) for line in _laid_out(payload).split("\n"))


def _laid_out(payload: bytes) -> str:
    if _depth(payload) <= _DEEPEST:
        try:
            return msgspec.json.format(payload, indent=2).decode()
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    return payload.decode("utf-8", "backslashreplace").replace("\n", "\\n")


def _depth(payload: bytes) -> int:
    """How deep brackets nest, about: those inside of texts are taken for brackets, too."""
    deepest = depth = 0
    for byte in payload:
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest
