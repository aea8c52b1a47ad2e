"""What to read: the place and the meaning of one value in a device's registers. First word of *registers -> samples*.

Only the *what*; how bits become values is in ``codec``, how they travel is the driver's business.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from shopfloor.errors import ShopfloorError

ADDRESSES = 65_536
"""Addresses of a Modbus table; the first is 0."""
SCALE_LIMIT = 10**12
"""A scale's magnitude lies within 1/SCALE_LIMIT .. SCALE_LIMIT, so that every scaled count is a finite float."""
MAX_STRING = 125
"""Registers in the longest string: what one request can read."""


class BadRegister(ShopfloorError):
    """A register description contradicts itself. ``faults`` maps the field to what is wrong and what to write."""

    def __init__(self, faults: dict[str, str]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{name} {fault}" for name, fault in faults.items()))


class Table(StrEnum):
    """The four Modbus tables, read with function codes 3, 4, 1 and 2."""

    HOLDING = "holding"
    INPUT = "input"
    COIL = "coil"
    DISCRETE = "discrete"

    @property
    def of_bits(self) -> bool:
        """True for tables of single bits."""
        return self in (Table.COIL, Table.DISCRETE)


class Encoding(StrEnum):
    """How a value lies in its registers. The two 8-bit halves are the low and the high byte of one register."""

    BOOL = "bool"
    U8_LOW = "u8_low"
    U8_HIGH = "u8_high"
    I8_LOW = "i8_low"
    I8_HIGH = "i8_high"
    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    U64 = "u64"
    I64 = "i64"
    F16 = "f16"
    F32 = "f32"
    F64 = "f64"
    STRING = "string"

    @property
    def bits(self) -> int:
        """Bits of a number; 1 for a bool, 0 for a string."""
        digits = self.value.partition("_")[0].lstrip("uif")
        return int(digits) if digits.isdigit() else int(self is Encoding.BOOL)

    @property
    def is_integer(self) -> bool:
        """True for signed and unsigned whole numbers."""
        return self.value[0] in "ui"

    @property
    def is_float(self) -> bool:
        """True for IEEE 754 numbers."""
        return self.value[0] == "f"

    @property
    def is_number(self) -> bool:
        """True for what has a scale: integers and floats."""
        return self.is_integer or self.is_float


class Order(StrEnum):
    """Order of the bytes on the wire of a value whose bytes are A (highest) to D.

    For 64 bits read ABCDEFGH, BADCFEHG, GHEFCDAB, HGFEDCBA. One register knows only whether its bytes are swapped.
    """

    ABCD = "ABCD"
    BADC = "BADC"
    CDAB = "CDAB"
    DCBA = "DCBA"

    @property
    def swaps_bytes(self) -> bool:
        """True where the low byte of each register comes first."""
        return self in (Order.BADC, Order.DCBA)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRef:
    """One value's registers. A ref that exists is consistent; raises BadRegister otherwise.

    value = count * scale + offset, with ``scale`` and ``offset`` exact, so that a Wh counter in kWh is count / 1000
    correctly rounded.
    """

    table: Table
    address: int
    """First register (or bit), 0-based as on the wire."""
    type: Encoding
    order: Order = Order.ABCD
    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    bit: int | None = None
    """Bit of a register, 0 the lowest; for a bool in a table of registers."""
    length: int | None = None
    """Registers of a string, two characters each."""
    not_available: tuple[int, ...] = ()
    """Raw contents that mean "no value", as the manual prints them: 0x8000 and -32768 are the same 16 bits."""
    exact: bool = False
    """The count must be recoverable from the value (counters, codes): beyond that it is out of range, never rounded."""
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        faults = _faults(self)
        if faults:
            raise BadRegister(faults)
        key = (self.table, self.address, self.type, self.order, self.scale, self.offset, self.bit, self.not_available)
        object.__setattr__(self, "_hash", hash(key))

    def __hash__(self) -> int:
        return self._hash  # computed once: decoders are looked up by ref thousands of times a second

    @property
    def width(self) -> int:
        """Registers (or bits of a bit table) that hold the value."""
        return self.length or max(1, self.type.bits // 16)

    @property
    def end(self) -> int:
        """First address after the value."""
        return self.address + self.width

    @property
    def modulus(self) -> int | None:
        """Counts after which an integer rolls over (65536 for 16 bits, signed or not); None for all others."""
        return 1 << self.type.bits if self.type.is_integer else None

    @property
    def mask(self) -> int:
        """The bits of each register that belong to the value: several small values may share one register."""
        if self.bit is not None:
            return 1 << wire_bit(self.bit, self.order)
        if self.type.bits == 8:
            return 0xFF00 if self.type.value.endswith("high") != self.order.swaps_bytes else 0x00FF
        return 0xFFFF


def wire_bit(bit: int, order: Order) -> int:
    """Where bit ``bit`` of a value lies in its register as received: swapped bytes move it by eight."""
    return bit ^ 8 if order.swaps_bytes else bit


def _faults(ref: RegisterRef) -> dict[str, str]:
    return {**_place_faults(ref), **_number_faults(ref), **_marker_faults(ref)}


def _place_faults(ref: RegisterRef) -> dict[str, str]:
    faults = {}
    if ref.table.of_bits and ref.type is not Encoding.BOOL:
        faults["type"] = f"must be bool in table {ref.table}"
    if (ref.bit is not None) != (ref.type is Encoding.BOOL and not ref.table.of_bits):
        faults["bit"] = "is for type bool in holding or input registers, and needed there; write bit: 0..15"
    elif ref.bit is not None and not 0 <= ref.bit <= 15:
        faults["bit"] = "must be 0..15"
    if (ref.length is not None) != (ref.type is Encoding.STRING):
        faults["length"] = "is for type string, and needed there; write the number of registers"
    elif ref.length is not None and not 1 <= ref.length <= MAX_STRING:
        faults["length"] = f"must be 1..{MAX_STRING} registers"
    if ref.address < 0 or (not faults and ref.end > ADDRESSES):
        faults["address"] = f"must be 0-based and end within 0..{ADDRESSES - 1}; manuals often print it plus 1"
    return faults


def _number_faults(ref: RegisterRef) -> dict[str, str]:
    faults = {}
    if not Fraction(1, SCALE_LIMIT) <= abs(ref.scale) <= SCALE_LIMIT:
        faults["scale"] = "must not be 0 and lie within 1e-12..1e12"
    if abs(ref.offset) > SCALE_LIMIT:
        faults["offset"] = "must lie within -1e12..1e12"
    if not ref.type.is_number:
        changed = {"scale": ref.scale != 1, "offset": ref.offset != 0}
        faults |= {name: f"has no meaning for type {ref.type}; remove it" for name, is_set in changed.items() if is_set}
    return faults


def _marker_faults(ref: RegisterRef) -> dict[str, str]:
    if not ref.not_available:
        return {}
    if not ref.type.is_number:
        return {"not_available": f"has no meaning for type {ref.type}; remove it"}
    bits = ref.type.bits
    if all(-(1 << bits - 1) <= marker < 1 << bits for marker in ref.not_available):
        return {}
    return {"not_available": f"must hold raw contents of {bits} bits, e.g. {(1 << bits - 1) - 1:#x}"}
