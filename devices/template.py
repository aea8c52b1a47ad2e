"""A device's manual made executable: one YAML file to a frozen template. Data of *registers -> samples*.

Parsing is strict and collects every problem, each with file, line, field and remedy, before it raises PlantError.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from devices.register import ADDRESSES, BadRegister, Encoding, Order, RegisterRef, Table
from shopfloor.equipment import ID
from shopfloor.errors import PlantError
from shopfloor.tag import CANONICAL, NAME, TagKind, TagSpec
from shopfloor.yaml_lines import LinedDocument, Place
from shopfloor.yaml_lines import parse as parse_yaml

MAX_REGISTERS = 125
"""Registers that the protocol allows in one request."""
READING = "x_reading"
"""The tag in which our simulated devices number the readings of their journal."""

Model = TypeVar("Model", bound=BaseModel)
Problem = tuple[Place, str]
"""Where in the file, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateTag:
    """One line of a template: what the value means and where it is read."""

    spec: TagSpec
    ref: RegisterRef
    range: tuple[float, float] | None = None
    """Plausible values (inclusive), in the tag's unit."""
    meaning: str = ""
    """The manual's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What a kind of device is: its tags and what its Modbus map allows."""

    name: str
    manual: str
    licence: str
    max_registers: int
    """Registers in the longest request that the device answers."""
    gap: int
    """Registers without a tag that one request may read across; 0 for none."""
    forbidden: tuple[tuple[int, int], ...]
    """Address ranges (inclusive, in every table) that are never read."""
    probe: str
    """The tag whose reading tells that this device is there and of this kind."""
    tags: tuple[TemplateTag, ...]

    @property
    def cycle_tag(self) -> str:
        """The tag that every poll cycle reads: the journal's reading number where there is one, else the probe."""
        return READING if any(tag.spec.name == READING for tag in self.tags) else self.probe

    def select(self, names: frozenset[str] | None) -> "Template":
        """The template with only these tags, and the one that every cycle reads; None selects all."""
        if names is None:
            return self
        return replace(self, tags=tuple(tag for tag in self.tags if tag.spec.name in {*names, self.cycle_tag}))

    def tag(self, name: str) -> TemplateTag:
        """The tag of that name; raises KeyError."""
        for tag in self.tags:
            if tag.spec.name == name:
                return tag
        raise KeyError(name)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Ref(_Strict):
    table: Annotated[Table, Field(strict=False)]
    address: int
    type: Annotated[Encoding, Field(strict=False)]
    order: Annotated[Order, Field(strict=False)] | None = None
    scale: float = 1.0
    offset: float = 0.0
    bit: int | None = None
    length: int | None = None
    not_available: list[int] = Field(default_factory=list)


class _Tag(_Strict):
    name: str
    kind: Annotated[TagKind, Field(strict=False)]
    ref: _Ref
    unit: str | None = None
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    meaning: str = ""


class _Modbus(_Strict):
    max_registers: int = Field(default=MAX_REGISTERS, ge=1, le=MAX_REGISTERS)
    word_order: Annotated[Order, Field(strict=False)] = Order.ABCD
    gap: int = Field(default=0, ge=0, le=MAX_REGISTERS)
    forbidden: list[Annotated[list[int], Field(min_length=2, max_length=2)]] = Field(default_factory=list)


class _File(_Strict):
    template: str
    manual: str = Field(min_length=1)
    licence: str = ""
    modbus: _Modbus = Field(default_factory=_Modbus)
    probe: str
    tags: Annotated[list[Any], Field(min_length=1)]


def parse(text: str, file: str) -> Template:
    """The template in ``text``; ``file`` is what problems are told with. Raises PlantError with all of them."""
    document = parse_yaml(text)
    problems = list(document.problems)
    if problems and document.data is None:
        raise PlantError(_described(problems, document, file))
    header = _validated(_File, document.data, (), problems)
    rows = _rows(document.data)
    order = header.modbus.word_order if header else Order.ABCD
    tags = [_tag(row, ("tags", index), order, problems) for index, row in enumerate(rows)]
    problems += _repeated_names(rows)
    if header:
        problems += _header_problems(header, rows)
        problems += _reach_problems(header.modbus, tags)
    if problems or header is None:
        raise PlantError(_described(problems, document, file))
    return _template(header, tuple(tag for tag in tags if tag))


def _rows(data: Any) -> list[Any]:
    rows = data.get("tags") if isinstance(data, dict) else None
    return rows if isinstance(rows, list) else []


def _described(problems: list[Problem], document: LinedDocument, file: str) -> list[str]:
    """``file:line: field: text`` in the order of the file."""
    placed = sorted((document.line(place), ".".join(map(str, place)), text) for place, text in problems)
    return [f"{file}:{line}: {field}: {text}" if field else f"{file}:{line}: {text}" for line, field, text in placed]


def _template(header: _File, tags: tuple[TemplateTag, ...]) -> Template:
    modbus = header.modbus
    return Template(
        name=header.template,
        manual=header.manual,
        licence=header.licence,
        max_registers=modbus.max_registers,
        gap=modbus.gap,
        forbidden=tuple((first, last) for first, last in modbus.forbidden),
        probe=header.probe,
        tags=tags,
    )


def _validated(model: type[Model], data: Any, path: Place, problems: list[Problem]) -> Model | None:
    """``data`` as ``model``; None, and its problems added, where it does not fit."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems += [((*path, *fault["loc"]), _fault_text(model, fault)) for fault in error.errors()]
        return None


def _fault_text(model: type[BaseModel], fault: Mapping[str, Any]) -> str:
    match fault["type"]:
        case "missing":
            return "is missing; add it"
        case "extra_forbidden":
            return "is not a known key; remove it, or correct its spelling"
        case "model_type":
            return f"must be a mapping with the keys {', '.join(model.model_fields)}"
        case _:
            message = fault["msg"].replace("Input should", "should", 1)
            return f"is {fault['input']!r} but {message}"


def _tag(row: Any, path: Place, order: Order, problems: list[Problem]) -> TemplateTag | None:
    """One row as a tag; None where any problem of it was added."""
    tag = _validated(_Tag, row, path, problems)
    if tag is None:
        return None
    problems += [((*path, field), text) for field, text in _word_problems(tag)]
    try:
        ref = _ref(tag, order)
    except BadRegister as error:
        problems += [((*path, "ref", field), text) for field, text in error.faults.items()]
        return None
    return TemplateTag(
        spec=_spec(tag, ref),
        ref=ref,
        range=(tag.range[0], tag.range[1]) if tag.range else None,
        meaning=tag.meaning,
    )


def _ref(tag: _Tag, order: Order) -> RegisterRef:
    ref = tag.ref
    return RegisterRef(
        table=ref.table,
        address=ref.address,
        type=ref.type,
        order=ref.order or order,
        scale=_exactly(ref.scale),
        offset=_exactly(ref.offset),
        bit=ref.bit,
        length=ref.length,
        not_available=tuple(ref.not_available),
        exact=tag.kind in (TagKind.COUNTER, TagKind.STATE),
    )


def _exactly(number: float) -> Fraction:
    """The decimal that was written, not its nearest float: 0.001 is 1/1000."""
    return Fraction(repr(number))


def _spec(tag: _Tag, ref: RegisterRef) -> TagSpec:
    return TagSpec(
        name=tag.name,
        kind=tag.kind,
        unit=tag.unit if tag.unit is not None else CANONICAL.get(tag.name, (tag.kind, ""))[1],
        scale=float(ref.scale) if ref.type.is_integer else 1.0,
        modulus=ref.modulus if tag.kind is TagKind.COUNTER else None,
    )


def _word_problems(tag: _Tag) -> Iterator[tuple[str, str]]:
    """Where name, kind, unit, type and range contradict each other or the canonical list."""
    yield from _name_problems(tag)
    yield from _kind_problems(tag)
    if tag.range and not (tag.kind is TagKind.GAUGE and tag.range[0] < tag.range[1]):
        yield "range", "is for gauges and goes from the lower to the higher value, e.g. [-50, 1800]"


def _name_problems(tag: _Tag) -> Iterator[tuple[str, str]]:
    if not NAME.fullmatch(tag.name):
        yield "name", f"{tag.name!r} must be lower case letters, digits and _, at most 48, beginning with a letter"
    elif tag.name in CANONICAL:
        kind, unit = CANONICAL[tag.name]
        if tag.kind is not kind:
            yield "kind", f"must be {kind} for {tag.name}"
        if tag.unit not in (None, unit):
            yield "unit", f"must be {unit!r} for {tag.name}; convert with ref.scale, and leave unit out"
    elif not tag.name.startswith("x_"):
        yield "name", f"{tag.name!r} is not a canonical tag; write x_{tag.name}, or one of {', '.join(CANONICAL)}"


def _kind_problems(tag: _Tag) -> Iterator[tuple[str, str]]:
    encoding = tag.ref.type
    told = (tag.name.endswith("_text"), tag.kind is TagKind.TEXT, encoding is Encoding.STRING)
    if any(told) and not all(told):
        yield "kind", "text goes with type string and a name that ends in _text; write all three or none"
    elif tag.kind is TagKind.STATE and not _is_code(tag.ref):
        yield "kind", "state needs an integer or bool register with scale 1 and offset 0"
    elif tag.kind is TagKind.COUNTER and not _counts(tag.ref):
        yield "kind", "counter needs a number with a scale above 0 and offset 0"
    elif tag.kind is TagKind.GAUGE and encoding is Encoding.BOOL:
        yield "kind", "gauge needs a number; write kind: state for a bit"


def _is_code(ref: _Ref) -> bool:
    return (ref.type.is_integer or ref.type is Encoding.BOOL) and ref.scale == 1 and ref.offset == 0


def _counts(ref: _Ref) -> bool:
    return ref.type.is_number and ref.scale > 0 and ref.offset == 0


def _repeated_names(rows: list[Any]) -> Iterator[Problem]:
    names = list(_names(rows))
    counts = Counter(name for _, name in names)
    seen = set()
    for index, name in names:
        if name in seen:
            yield ("tags", index, "name"), f"{name!r} is given {counts[name]} times; a name stands for one register"
        seen.add(name)


def _names(rows: list[Any]) -> Iterator[tuple[int, str]]:
    for index, row in enumerate(rows):
        name = row.get("name") if isinstance(row, dict) else None
        if isinstance(name, str):
            yield index, name


def _header_problems(header: _File, rows: list[Any]) -> Iterator[Problem]:
    if not ID.fullmatch(header.template):
        yield ("template",), f"{header.template!r} must match {ID.pattern}, e.g. cnc-generic"
    names = [name for _, name in _names(rows)]
    if header.probe not in names:
        yield ("probe",), f"{header.probe!r} is not a tag of this template; write one of {', '.join(names)}"
    for index, (first, last) in enumerate(header.modbus.forbidden):
        if not 0 <= first <= last < ADDRESSES:
            yield ("modbus", "forbidden", index), "must be [first, last] address, both inclusive"


def _reach_problems(modbus: _Modbus, tags: list[TemplateTag | None]) -> Iterator[Problem]:
    """Tags that no request can read."""
    for index, tag in enumerate(tags):
        if tag is None:
            continue
        ref = tag.ref
        if ref.width > modbus.max_registers:
            text = (
                f"has {ref.width} registers, more than modbus.max_registers {modbus.max_registers}; correct one of them"
            )
            yield ("tags", index, "ref"), text
        if any(first < ref.end and ref.address <= last for first, last in modbus.forbidden):
            yield ("tags", index, "ref", "address"), "lies in a forbidden range; correct it or modbus.forbidden"
