"""A register reference that exists is consistent."""

from fractions import Fraction

import pytest

from devices.register import BadRegister, Encoding, Order, RegisterRef, Table


def ref(encoding: Encoding, **fields: object) -> RegisterRef:
    return RegisterRef(**{"table": Table.HOLDING, "address": 0, "type": encoding, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("encoding", "width", "modulus"),
    [
        (Encoding.U8_LOW, 1, 256),
        (Encoding.I16, 1, 65_536),
        (Encoding.U32, 2, 2**32),
        (Encoding.I64, 4, 2**64),
        (Encoding.F16, 1, None),
        (Encoding.F32, 2, None),
        (Encoding.F64, 4, None),
    ],
)
def test_the_type_tells_width_and_roll_over(encoding: Encoding, width: int, modulus: int | None) -> None:
    assert (ref(encoding).width, ref(encoding).modulus) == (width, modulus)


def test_a_string_is_as_wide_as_its_length_in_registers() -> None:
    assert ref(Encoding.STRING, length=7).width == 7


def test_equal_refs_are_one_key() -> None:
    first, second = ref(Encoding.U32, scale=Fraction(1, 1000)), ref(Encoding.U32, scale=Fraction("0.001"))
    assert len({first, second}) == 1
    assert first != ref(Encoding.U32)


@pytest.mark.parametrize(
    ("fields", "mask"),
    [
        ({"type": Encoding.U16}, 0xFFFF),
        ({"type": Encoding.U8_LOW}, 0x00FF),
        ({"type": Encoding.U8_LOW, "order": Order.BADC}, 0xFF00),
        ({"type": Encoding.I8_HIGH}, 0xFF00),
        ({"type": Encoding.BOOL, "bit": 3}, 0x0008),
        ({"type": Encoding.BOOL, "bit": 3, "order": Order.DCBA}, 0x0800),
    ],
)
def test_the_mask_tells_which_bits_of_its_register_a_small_value_owns(fields: dict[str, object], mask: int) -> None:
    assert RegisterRef(table=Table.INPUT, address=9, **fields).mask == mask  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"type": Encoding.U16, "table": Table.COIL}, "type"),
        ({"type": Encoding.BOOL}, "bit"),
        ({"type": Encoding.BOOL, "bit": 16}, "bit"),
        ({"type": Encoding.BOOL, "bit": 1, "table": Table.COIL}, "bit"),
        ({"type": Encoding.U16, "bit": 1}, "bit"),
        ({"type": Encoding.STRING}, "length"),
        ({"type": Encoding.STRING, "length": 126}, "length"),
        ({"type": Encoding.U16, "length": 1}, "length"),
        ({"type": Encoding.U32, "address": 65_535}, "address"),
        ({"type": Encoding.U32, "address": -1}, "address"),
        ({"type": Encoding.U16, "scale": Fraction(0)}, "scale"),
        ({"type": Encoding.U16, "scale": Fraction(10**13)}, "scale"),
        ({"type": Encoding.U16, "offset": Fraction(10**13)}, "offset"),
        ({"type": Encoding.STRING, "length": 1, "scale": Fraction(2)}, "scale"),
        ({"type": Encoding.U16, "not_available": (0x10000,)}, "not_available"),
        ({"type": Encoding.STRING, "length": 1, "not_available": (0,)}, "not_available"),
    ],
)
def test_a_contradiction_is_refused_and_names_its_field(fields: dict[str, object], field: str) -> None:
    with pytest.raises(BadRegister) as caught:
        RegisterRef(**{"table": Table.HOLDING, "address": 0, **fields})  # type: ignore[arg-type]
    assert list(caught.value.faults) == [field]
