"""A strict reader of line protocol, independent of the encoder under test; proven by the decode cases of the corpus."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

Value = float | int | bool | str

_BAD = "\x00-\x1f\x7f"
_MEASUREMENT = re.compile(rf"(?:\\[, ]|[^{_BAD}, ])++")  # a backslash before anything else stands for itself
_KEY = re.compile(rf"(?:\\[,= ]|[^{_BAD},= ])++")
_STRING = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
_BARE = re.compile(rf"[^{_BAD}, ]+")
_TIME = re.compile(r"-?[0-9]+")
_FLOAT = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BOOLS = {word: word[0] in "tT" for word in ("t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE")}
_SIGNS = {"n": "\n", "r": "\r", "t": "\t"}
UNITS = {"1ns": 1, "1µs": 1_000, "1ms": 1_000_000, "1s": 1_000_000_000}


class NotALine(ValueError):
    """The text is no line protocol."""


@dataclass(frozen=True)
class Parsed:
    """One line."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    time: int | None


def parse(text: str, precision: str = "1ns") -> list[Parsed]:
    """Every line of a text."""
    return list(_Reader(text, UNITS[precision]).lines())


class _Reader:
    def __init__(self, text: str, unit: int) -> None:
        self._text = text
        self._unit = unit
        self._at = 0

    def lines(self) -> Iterator[Parsed]:
        while self._skip_blank():
            yield self._line()

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip_blank(self) -> bool:
        while self._peek():
            if self._peek() == "#":
                end = self._text.find("\n", self._at)
                comment, self._at = (
                    self._text[self._at : end if end >= 0 else None],
                    end if end >= 0 else len(self._text),
                )
                if re.search(f"[{_BAD}]", comment.rstrip("\r")):
                    raise NotALine("a control character in a comment")
            elif self._peek() in " \r\n":
                self._at += 1
            else:
                return True
        return False

    def _take(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self._text, self._at)
        if not found:
            raise NotALine(f"no {what} at {self._at}")
        self._at = found.end()
        return found[0]

    def _spaces(self) -> bool:
        start = self._at
        while self._peek() == " ":
            self._at += 1
        return self._at > start

    def _line(self) -> Parsed:
        measurement = _unescaped(self._take(_MEASUREMENT, "measurement"), ", ")
        tags: dict[str, str] = {}
        while self._peek() == ",":
            self._at += 1
            key = _unescaped(self._take(_KEY, "tag key"), ",= ")
            self._expect("=")
            value = _unescaped(self._take(_KEY, "tag value"), ",= ")
            if key in tags:
                raise NotALine(f"tag {key} twice")
            tags[key] = value
        if not self._spaces():
            raise NotALine("no space after the series")
        fields: dict[str, Value] = {}
        while True:
            key = _unescaped(self._take(_KEY, "field key"), ",= ")
            self._expect("=")
            fields[key] = self._value()
            if self._peek() != ",":
                break
            self._at += 1
        return Parsed(measurement, tags, fields, self._time())

    def _expect(self, sign: str) -> None:
        if self._peek() != sign:
            raise NotALine(f"no {sign} at {self._at}")
        self._at += 1

    def _value(self) -> Value:
        if self._peek() == '"':
            found = self._take(_STRING, "closing quote")
            return re.sub(r'\\(["\\nrt])', lambda each: _SIGNS.get(each[1], each[1]), found[1:-1])
        word = self._take(_BARE, "value")
        if word in _BOOLS:
            return _BOOLS[word]
        if re.fullmatch(r"-?[0-9]+i", word):
            return _within(int(word[:-1]), -(2**63), 2**63)
        if re.fullmatch(r"[0-9]+u", word):
            return _within(int(word[:-1]), 0, 2**64)
        if _FLOAT.fullmatch(word) and abs(float(word)) != float("inf"):
            return float(word)
        raise NotALine(f"{word!r} is no value")

    def _time(self) -> int | None:
        if not self._spaces() and self._peek() not in ("\n", "\r", ""):
            raise NotALine(f"text after the fields at {self._at}")
        time = None
        if self._peek() not in ("\n", "\r", ""):
            time = _within(int(self._take(_TIME, "time")) * self._unit, -(2**63), 2**63)
            self._spaces()
        if self._peek() == "\r":
            self._at += 1
        if self._peek() not in ("\n", ""):
            raise NotALine(f"text after the time at {self._at}")
        return time


def _within(number: int, low: int, high: int) -> int:
    if not low <= number < high:
        raise NotALine(f"{number} is out of range")
    return number


def _unescaped(text: str, signs: str) -> str:
    return re.sub(rf"\\([{re.escape(signs)}])", r"\1", text)
