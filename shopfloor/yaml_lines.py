"""YAML with line numbers: plain data beside the line of every key and item, for errors that name their place.

Reads the YAML 1.2 core types only, so that ``no`` is a word and ``06:00`` is a text, not a boolean and a number.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 100
"""Mappings and lists within one another; no file of ours has ten."""
MAX_NODES = 1_000_000
"""Words, mappings and lists, with those that aliases repeat; a plant of a thousand machines has a tenth."""

Place = tuple[str | int, ...]
"""Keys and indices from the document's root."""


_MERGE = "tag:yaml.org,2002:merge"
_Fastest: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where PyYAML has it


class _Loader(_Fastest):  # type: ignore[misc,valid-type]
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._written: dict[int, frozenset[int]] = {}

    def flattened(self, node: yaml.MappingNode) -> frozenset[int]:
        """Bring what a mapping merges (``<<``) before its own keys, once; ids of the key nodes that it has itself."""
        if id(node) not in self._written:
            self._written[id(node)] = frozenset(id(key) for key, _ in node.value if key.tag != _MERGE)
            self.flatten_mapping(node)
        return self._written[id(node)]


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:null", r"^(?:~|null|)$", ["~", "n", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|false)$", list("tf")),
    ("tag:yaml.org,2002:int", r"^[-+]?(?:0x[0-9a-fA-F]+|[0-9]+)$", list("-+0123456789")),
    ("tag:yaml.org,2002:float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$", list("-+.0123456789")),
    (_MERGE, r"^(?:<<)$", ["<"]),
):
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), _first)


def _integer(_: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(node.value)
    return int(text, 16) if "x" in text else int(text, 10)  # 09 is nine, not a broken octal


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


@dataclass
class LinedDocument:
    """A parsed document: ``data`` as plain Python, ``lines`` from place to line number (1-based)."""

    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[tuple[Place, str]] = field(default_factory=list)
    """Faults of the YAML itself: duplicate keys, syntax."""

    def line(self, place: Place) -> int:
        """The line of ``place``, or of the nearest place around it."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place, 1)


def parse(text: str) -> LinedDocument:
    """Parse one document. A syntax error is a problem, not an exception."""
    document = LinedDocument()
    loader = None
    try:
        _check_size(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            document.data = _plain(loader, node, (), document)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        document.lines[()] = 1 + min(mark.line if mark else 0, len(text.splitlines()) - 1)
        document.problems.append(((), f"not YAML: {fault.problem or fault}; check indentation, quotes and colons here"))
    except (yaml.reader.ReaderError, UnicodeEncodeError) as fault:
        before = text[: fault.start] if isinstance(fault, UnicodeEncodeError) else _first_bytes(text, fault.position)
        document.lines[()] = before.count("\n") + 1
        document.problems.append(((), "a control character stands here; remove it"))
    except _TooLarge:
        document.problems.append(((), f"with its aliases it has over {MAX_NODES:,} entries; write fewer of them"))
    except RecursionError:
        document.problems.append(((), "it is nested too deep, or an alias refers to itself; write the value out"))
    finally:
        if loader is not None:
            loader.dispose()
    return document


def _first_bytes(text: str, count: int) -> str:
    return text.encode()[:count].decode(errors="ignore")


class _TooLarge(Exception):
    """More nodes than anybody means, by aliases of aliases."""


def _check_size(text: str) -> None:
    """Raise RecursionError for what libyaml would follow down to the end of its stack, _TooLarge for what its aliases
    would blow up."""
    known: dict[str, int] = {}
    within: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            within.append((event.anchor, 1))
            if len(within) > MAX_DEPTH + 1:
                raise RecursionError
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = within.pop()
        elif isinstance(event, yaml.AliasEvent):
            anchor, size = None, known.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor is not None:
            known[anchor] = size
        around, before = within[-1]
        within[-1] = around, before + size
        if before + size > MAX_NODES:
            raise _TooLarge


def _plain(loader: _Loader, node: yaml.Node, place: Place, document: LinedDocument) -> Any:
    document.lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        written = loader.flattened(node)
        mapping: dict[Any, Any] = {}
        known: set[Any] = set()
        for key_node, value_node in node.value:
            key = _scalar(loader, key_node, (*place, str(key_node.value)[:40]), document)
            if isinstance(key, list | dict):
                document.problems.append((place, "a key is a list or mapping; use a plain word"))
                continue
            below = (*place, key)
            if id(key_node) in written:
                if key in known:
                    document.problems.append((below, f"the key {key!r} stands twice; remove or rename one"))
                known.add(key)
            document.lines[below] = key_node.start_mark.line + 1
            mapping[key] = _plain(loader, value_node, below, document)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, item, (*place, index), document) for index, item in enumerate(node.value)]
    return _scalar(loader, node, place, document)


def _scalar(loader: _Loader, node: yaml.Node, place: Place, document: LinedDocument) -> Any:
    try:
        return loader.construct_object(node, deep=True)
    except (ValueError, LookupError, AttributeError):  # PyYAML's own, for a tag that the text does not fit
        told, kind = str(node.value)[:40], node.tag.rsplit(":", 1)[-1]
        document.lines.setdefault(place, node.start_mark.line + 1)
        document.problems.append((place, f"{told!r} is no {kind}; write another value"))
        return None
