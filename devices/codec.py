"""Registers <-> value: the pure codec of *registers -> samples*. No IO; both agent and simulators stand on it.

Decisions. An integer with scale 1 and offset 0 stays an ``int``; any other integer gives a correctly rounded ``float``,
never a truncated one. NaN and the template's markers are BAD not_available, infinity is BAD out_of_range. A ref that
is ``exact`` (counters, codes) gives BAD out_of_range beyond the counts that a stored float can give back.

Each ref is compiled once into closures; ``decoder`` and ``encoder`` return them for callers in a hurry.
"""

import math
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache

from devices.register import Encoding, Order, RegisterRef, wire_bit
from shopfloor.quality import Quality, Reason, Status
from shopfloor.sample import Value

Decoder = Callable[[Sequence[int]], Value | Status]
Encoder = Callable[[Value | None], list[int]]

NOT_AVAILABLE = Status(Quality.BAD, Reason.NOT_AVAILABLE)
"""The device says that it has no value here."""
OUT_OF_RANGE = Status(Quality.BAD, Reason.OUT_OF_RANGE)
"""There is a number that cannot be stored as it is: infinite, or a count that would lose digits."""
SENSOR_FAULT = Status(Quality.BAD, Reason.SENSOR_FAULT)
"""The registers hold no text."""

EXACT_COUNT = 2**53
"""Counts up to here are floats themselves."""
EXACT_SCALED_COUNT = 2**50
"""Scaled counts up to here come back from ``round(value / scale)`` in floats: its roundings stay below half a count."""

_FORMATS = {
    Encoding.U8_LOW: "xB",
    Encoding.U8_HIGH: "Bx",
    Encoding.I8_LOW: "xb",
    Encoding.I8_HIGH: "bx",
    Encoding.U16: "H",
    Encoding.I16: "h",
    Encoding.U32: "I",
    Encoding.I32: "i",
    Encoding.U64: "Q",
    Encoding.I64: "q",
    Encoding.F16: "e",
    Encoding.F32: "f",
    Encoding.F64: "d",
}
_ENDIANS = {
    Order.ABCD: (">", ">"),
    Order.BADC: ("<", ">"),
    Order.CDAB: ("<", "<"),
    Order.DCBA: (">", "<"),
}
"""Order -> (each register to bytes, those bytes to the value): swapping both reverses the registers alone."""


def decode(ref: RegisterRef, words: Sequence[int]) -> Value | Status:
    """The value in ``words`` (``ref.width`` registers of 0..65535, or bits), or the BAD status that says why not.

    Raises ValueError when ``words`` are not that many registers.
    """
    try:
        return decoder(ref)(words)
    except (struct.error, ValueError):
        raise ValueError(f"{ref.table} {ref.address} needs {ref.width} registers of 16 bits, not {words!r}") from None


def encode(ref: RegisterRef, value: Value | None) -> list[int]:
    """The registers that decode to ``value``, rounded to the nearest count; None gives the not-available marker.

    Bits that do not belong to the value (``ref.mask``) are 0. Raises ValueError for what the registers cannot say: out
    of their range, equal to a marker, of the wrong type, or None where there is no marker.
    """
    try:
        return encoder(ref)(value)
    except (struct.error, OverflowError):
        raise ValueError(f"{value!r} does not fit {ref.type} at {ref.table} {ref.address}, scale {ref.scale}") from None


@cache
def decoder(ref: RegisterRef) -> Decoder:
    """``decode`` compiled for one ref; raises struct.error or ValueError for a wrong number of registers."""
    if ref.type is Encoding.BOOL:
        return _bool_decoder(ref)
    if ref.type is Encoding.STRING:
        return _string_decoder(ref)
    return _integer_decoder(ref) if ref.type.is_integer else _float_decoder(ref)


@cache
def encoder(ref: RegisterRef) -> Encoder:
    """``encode`` compiled for one ref; raises struct.error, OverflowError or ValueError for what does not fit."""
    if ref.type is Encoding.BOOL:
        return _bool_encoder(ref)
    if ref.type is Encoding.STRING:
        return _string_encoder(ref)
    return _number_encoder(ref)


def _structs(ref: RegisterRef) -> tuple[struct.Struct, struct.Struct]:
    """Registers <-> bytes and bytes <-> number."""
    outer, inner = _ENDIANS[ref.order]
    if ref.type.bits == 8:  # a byte has no order of its own: only a swap within its register counts
        outer, inner = ("<" if ref.order.swaps_bytes else ">"), ">"
    return struct.Struct(f"{outer}{ref.width}H"), struct.Struct(inner + _FORMATS[ref.type])


def _integer_decoder(ref: RegisterRef) -> Decoder:
    registers, number = _structs(ref)
    pack, unpack = registers.pack, number.unpack
    markers, limit = _markers(ref), _exact_limit(ref)
    factor, addend, divisor = _affine(ref)
    whole = _is_identity(ref)

    def decode_integer(words: Sequence[int]) -> Value | Status:
        count: int = unpack(pack(*words))[0]
        if count in markers:
            return NOT_AVAILABLE
        if not -limit <= count <= limit:
            return OUT_OF_RANGE
        return count if whole else (count * factor + addend) / divisor

    return decode_integer


def _float_decoder(ref: RegisterRef) -> Decoder:
    registers, number = _structs(ref)
    pack, unpack = registers.pack, number.unpack
    markers = _markers(ref)
    factor, divisor, offset = ref.scale.numerator, ref.scale.denominator, float(ref.offset)

    def decode_float(words: Sequence[int]) -> Value | Status:
        raw: float = unpack(pack(*words))[0]
        if raw != raw or raw in markers:  # NaN differs from itself
            return NOT_AVAILABLE
        value = raw * factor / divisor + offset
        return value if math.isfinite(value) else OUT_OF_RANGE

    return decode_float


def _number_encoder(ref: RegisterRef) -> Encoder:
    registers, number = _structs(ref)
    markers = _markers(ref)
    to_raw = _counter_of(ref) if ref.type.is_integer else _float_of(ref)

    def encode_number(value: Value | None) -> list[int]:
        if isinstance(value, str):
            raise ValueError(f"{value!r} is text; {ref.table} {ref.address} takes a number")  # noqa: TRY004
        raw = _missing(ref) if value is None else to_raw(value)
        words = list(registers.unpack(number.pack(raw)))
        if value is not None and number.unpack(registers.pack(*words))[0] in markers:
            raise ValueError(f"{value!r} would read as not available at {ref.table} {ref.address}")
        return words

    return encode_number


def _markers(ref: RegisterRef) -> frozenset[float]:
    return frozenset(_raw_number(ref, marker) for marker in ref.not_available)


def _missing(ref: RegisterRef) -> float:
    """The raw number that says "no value"; raises ValueError where the register has none."""
    if ref.not_available:
        return _raw_number(ref, ref.not_available[0])
    if ref.type.is_float:
        return math.nan
    raise ValueError(f"{ref.table} {ref.address} has no not-available marker; add not_available to the template")


def _raw_number(ref: RegisterRef, marker: int) -> float:
    """A raw content, signed or not, as a number of the ref's type."""
    bits = ref.type.bits
    content = (marker % (1 << bits)).to_bytes(bits // 8, "big")
    raw: float = struct.unpack(">" + _FORMATS[ref.type].strip("x"), content)[0]
    return raw


def _exact_limit(ref: RegisterRef) -> float:
    if not ref.exact:
        return math.inf
    return EXACT_COUNT if _is_identity(ref) else EXACT_SCALED_COUNT


def _is_identity(ref: RegisterRef) -> bool:
    return ref.scale == 1 and ref.offset == 0


def _affine(ref: RegisterRef) -> tuple[int, int, int]:
    """(a, b, c) with value = (count * a + b) / c: one division of integers, hence correctly rounded."""
    divisor = math.lcm(ref.scale.denominator, ref.offset.denominator)
    return int(ref.scale * divisor), int(ref.offset * divisor), divisor


def _counter_of(ref: RegisterRef) -> Callable[[float], int]:
    """value -> count, rounded to the nearest; exact for every value that decoding gives."""
    if _is_identity(ref):
        return round
    factor, addend, divisor = _affine(ref)

    def count_of(value: float) -> int:
        quotient = value * divisor / factor
        if addend or abs(quotient) > EXACT_SCALED_COUNT:
            return round((Fraction(value) * divisor - addend) / factor)
        return round(quotient)

    return count_of


def _float_of(ref: RegisterRef) -> Callable[[float], float]:
    factor, divisor, offset = ref.scale.numerator, ref.scale.denominator, float(ref.offset)
    return lambda value: (value - offset) * divisor / factor


def _bool_decoder(ref: RegisterRef) -> Decoder:
    shift = 0 if ref.bit is None else wire_bit(ref.bit, ref.order)

    def decode_bool(words: Sequence[int]) -> Value | Status:
        (word,) = words
        return int(word) >> shift & 1

    return decode_bool


def _bool_encoder(ref: RegisterRef) -> Encoder:
    mask = 1 if ref.bit is None else ref.mask

    def encode_bool(value: Value | None) -> list[int]:
        if value not in (0, 1):
            raise ValueError(f"{value!r} is not 0 or 1, as {ref.table} {ref.address} needs")
        return [mask if value else 0]

    return encode_bool


def _string_decoder(ref: RegisterRef) -> Decoder:
    registers = struct.Struct(f"{'<' if ref.order.swaps_bytes else '>'}{ref.width}H")

    def decode_string(words: Sequence[int]) -> Value | Status:
        text, _, _ = registers.pack(*words).partition(b"\0")
        try:
            return text.decode()
        except UnicodeDecodeError:
            return SENSOR_FAULT

    return decode_string


def _string_encoder(ref: RegisterRef) -> Encoder:
    registers = struct.Struct(f"{'<' if ref.order.swaps_bytes else '>'}{ref.width}H")

    def encode_string(value: Value | None) -> list[int]:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not text, as {ref.table} {ref.address} needs")  # noqa: TRY004
        text = value.encode()
        if len(text) > registers.size or b"\0" in text:
            raise ValueError(f"{value!r} does not fit {ref.width} registers at {ref.table} {ref.address}")
        return list(registers.unpack(text.ljust(registers.size, b"\0")))

    return encode_string
