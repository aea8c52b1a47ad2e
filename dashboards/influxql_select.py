"""A board's InfluxQL taken apart: which measurements, columns, functions and conditions a query names. Pure.

Beside the panels of registers -> samples -> messages -> points -> facts -> KPIs -> panels, for ``lint``. It reads what
boards write, SELECT with subqueries and SHOW TAG VALUES, before variables are expanded; it is no judge of syntax.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shopfloor.errors import ShopfloorError

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<regex>(?:(?<=~\ )|(?<=\()|(?<=,\ )|(?<=SELECT\ ))/(?:[^/\\]|\\.)*/)
      | (?P<name>"(?:[^"\\]|\\.)*")
      | (?P<text>'(?:[^'\\]|\\.)*')
      | (?P<variable>\$\{[^}]*\}\w*|\$\w+)
      | (?P<number>\d[\w.]*)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<sign>[<>=!]=|=~|!~|<>|.)""",
    re.VERBOSE | re.DOTALL,
)
_CLAUSES: Final = frozenset({"WHERE", "GROUP", "ORDER", "LIMIT", "OFFSET", "SLIMIT", "SOFFSET", "FILL", "TZ"})
_WORDS: Final = frozenset({"AND", "OR", "AS", "BY", "ASC", "DESC", "TIME", "TRUE", "FALSE", "DISTINCT", "NULL"})
ANYTHING: Final = "*"


class Unreadable(ShopfloorError):
    """The query is not of the kinds that boards ask."""


@dataclass(frozen=True, slots=True)
class Select:
    """One SELECT, or the lookup of a tag's values."""

    sources: tuple["Select | str", ...]
    """Measurements as written, and subqueries."""
    policies: tuple[str, ...]
    """The retention policy that each measurement is written with, empty where none is."""
    reads: tuple[str, ...]
    """Columns that are computed with."""
    gives: tuple[str, ...]
    """Names of its own columns."""
    functions: tuple[str, ...]
    condition: str
    """After WHERE, blanks made equal."""
    asks: tuple[str, ...]
    """Columns that the condition names."""
    groups: tuple[str, ...]
    """Tags after GROUP BY."""

    def measurements(self) -> Iterator[str]:
        """All that it reads in the end."""
        for source in self.sources:
            if isinstance(source, Select):
                yield from source.measurements()
            else:
                yield source

    def all(self) -> Iterator["Select"]:
        """Itself and every subquery."""
        yield self
        for source in self.sources:
            if isinstance(source, Select):
                yield from source.all()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str

    @property
    def word(self) -> str:
        """In capitals, when it is a bare word."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def named(self) -> str:
        """Without quotes."""
        return self.text[1:-1] if self.kind == "name" else self.text


def read_query(query: str) -> Select:
    """A query of a board; raises Unreadable."""
    tokens = [_Token(str(found.lastgroup), found[0]) for found in _TOKEN.finditer(query) if found.lastgroup != "space"]
    reader = _Reader(tokens)
    if reader.next_is("SHOW"):
        return reader.tag_values()
    found = reader.select()
    if not reader.done:
        raise Unreadable(f"cannot read the query from {reader.rest()!r} on")
    return found


class _Reader:
    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens, self._at = tokens, 0

    @property
    def done(self) -> bool:
        return self._at >= len(self._tokens)

    def rest(self) -> str:
        return " ".join(token.text for token in self._tokens[self._at : self._at + 8])

    def next_is(self, text: str) -> bool:
        return not self.done and (
            self._peek().word == text or (self._peek().kind == "sign" and self._peek().text == text)
        )

    def select(self) -> Select:
        self._take("SELECT")
        items = self._until({"FROM"})
        self._take("FROM")
        sources, policies = self._sources()
        clauses = self._clauses()
        condition = clauses.get("WHERE", [])
        return Select(
            sources=tuple(sources),
            policies=tuple(policies),
            reads=tuple(_columns(_without_aliases(items))),
            gives=tuple(_given(items)),
            functions=tuple(_functions(items)),
            condition=" ".join(token.text for token in condition),
            asks=tuple(_columns(condition)),
            groups=tuple(_columns(_outside_brackets(clauses.get("GROUP", [])))),
        )

    def tag_values(self) -> Select:
        """SHOW TAG VALUES FROM .. WITH KEY = .. WHERE .."""
        self._until({"FROM"})
        self._take("FROM")
        sources, policies = self._sources()
        key = self._until({"WHERE"})
        clauses = self._clauses()
        condition = clauses.get("WHERE", [])
        keys = tuple(token.named for token in key if token.kind == "name")
        return Select(
            sources=tuple(sources),
            policies=tuple(policies),
            reads=(),
            gives=("key", "value"),
            functions=(),
            condition=" ".join(token.text for token in condition),
            asks=tuple(_columns(condition)),
            groups=keys,
        )

    def _sources(self) -> tuple[list["Select | str"], list[str]]:
        sources: list[Select | str] = []
        policies: list[str] = []
        while True:
            if self.next_is("("):
                self._take("(")
                sources.append(self.select())
                policies.append("")
                self._take(")")
            else:
                parts = [self._advance().named]
                while self.next_is("."):
                    self._take(".")
                    parts.append(self._advance().named)
                sources.append(parts[-1])
                policies.append(parts[-2] if len(parts) > 1 else "")
            if not self.next_is(","):
                return sources, policies
            self._take(",")

    def _clauses(self) -> dict[str, list[_Token]]:
        found: dict[str, list[_Token]] = {}
        while not self.done and self._peek().word in _CLAUSES:
            name = self._advance().word
            found[name] = self._until(_CLAUSES)
        return found

    def _until(self, words: "frozenset[str] | set[str]") -> list[_Token]:
        """Tokens up to one of the words, or to the bracket that closes what we are in."""
        taken: list[_Token] = []
        depth = 0
        while not self.done:
            token = self._peek()
            if depth == 0 and (token.word in words or token.text == ")" or token.text == ";"):
                break
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            taken.append(self._advance())
        return taken

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _advance(self) -> _Token:
        if self.done:
            raise Unreadable("the query ends too soon")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, text: str) -> None:
        if not self.next_is(text):
            raise Unreadable(f"{text} is expected before {self.rest()!r}")
        self._at += 1


def _columns(tokens: Sequence[_Token]) -> Iterator[str]:
    """Names of columns among tokens: quoted, or bare and no word of the language or function."""
    for at, token in enumerate(tokens):
        called = at + 1 < len(tokens) and tokens[at + 1].text == "("
        if token.kind == "name" or (token.kind == "word" and not called and token.word not in _WORDS):
            yield token.named
        elif token.text == ANYTHING and not _between_values(tokens, at):
            yield ANYTHING


def _between_values(tokens: Sequence[_Token], at: int) -> bool:
    """Whether the star at a place multiplies."""
    return 0 < at < len(tokens) - 1 and tokens[at - 1].text not in ("(", ",") and tokens[at + 1].text not in (")", ",")


def _functions(tokens: Sequence[_Token]) -> Iterator[str]:
    for at, token in enumerate(tokens[:-1]):
        if token.kind == "word" and tokens[at + 1].text == "(":
            yield token.text.lower()


def _items(tokens: Sequence[_Token]) -> Iterator[list[_Token]]:
    """Parts between commas."""
    item: list[_Token] = []
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            yield item
            item = []
        else:
            item.append(token)
    yield item


def _without_aliases(tokens: Sequence[_Token]) -> list[_Token]:
    return [
        token for at, token in enumerate(tokens) if token.word != "AS" and not (at > 0 and tokens[at - 1].word == "AS")
    ]


def _given(tokens: Sequence[_Token]) -> Iterator[str]:
    for item in _items(tokens):
        if any(token.kind == "regex" for token in item):
            yield ANYTHING
        elif len(item) > 1 and item[-2].word == "AS":
            yield item[-1].named
        elif functions := list(_functions(item)):
            yield functions[0]
        else:
            yield from list(_columns(item))[:1]


def _outside_brackets(tokens: Sequence[_Token]) -> list[_Token]:
    """Without calls, as ``time(1h)``."""
    kept: list[_Token] = []
    depth = 0
    for at, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        called = at + 1 < len(tokens) and tokens[at + 1].text == "("
        if depth == 0 and token.text != ")" and not called:
            kept.append(token)
    return kept
