"""The codec: what the registers say is what the value is, and back."""

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from devices.codec import EXACT_COUNT, EXACT_SCALED_COUNT, NOT_AVAILABLE, OUT_OF_RANGE, SENSOR_FAULT, decode, encode
from devices.register import Encoding, Order, RegisterRef, Table
from shopfloor.quality import Status

INTEGERS = [encoding for encoding in Encoding if encoding.is_integer]
FLOATS = [encoding for encoding in Encoding if encoding.is_float]
SCALES = [
    Fraction(1),
    Fraction(1, 10),
    Fraction(1, 1000),
    Fraction(1, 10**6),
    Fraction(10),
    Fraction(1, 3),
    Fraction(-3, 7),
]


def ref(encoding: Encoding, **fields: object) -> RegisterRef:
    return RegisterRef(**{"table": Table.HOLDING, "address": 0, "type": encoding, **fields})  # type: ignore[arg-type]


def bounds(encoding: Encoding) -> tuple[int, int]:
    half = 1 << encoding.bits - 1
    return (-half, half - 1) if encoding.value.startswith("i") else (0, 2 * half - 1)


def words_of(width: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 0xFFFF), min_size=width, max_size=width)


@given(st.data(), st.sampled_from(INTEGERS), st.sampled_from(Order))
def test_every_integer_of_every_width_and_order_comes_back(
    data: st.DataObject, encoding: Encoding, order: Order
) -> None:
    count = data.draw(st.integers(*bounds(encoding)))
    register = ref(encoding, order=order)
    words = encode(register, count)
    assert len(words) == register.width
    assert decode(register, words) == count
    assert all(word & ~register.mask == 0 for word in words)


@given(
    st.data(), st.sampled_from(INTEGERS), st.sampled_from(SCALES), st.sampled_from([0, Fraction(-40), Fraction(1, 8)])
)
def test_every_scaled_integer_comes_back_to_the_same_registers(
    data: st.DataObject, encoding: Encoding, scale: Fraction, offset: Fraction
) -> None:
    low, high = bounds(encoding)
    count = data.draw(st.integers(max(low, -(2**45)), min(high, 2**45)))
    register = ref(encoding, scale=scale, offset=Fraction(offset))
    value = decode(register, encode(ref(encoding), count))
    assert value == float(count * scale + offset)
    assert encode(register, value) == encode(ref(encoding), count)


@given(st.integers(0, EXACT_SCALED_COUNT), st.sampled_from([scale for scale in SCALES if scale > 0]))
def test_a_stored_counter_gives_its_count_back_by_rounding_in_floats(count: int, scale: Fraction) -> None:
    value = decode(ref(Encoding.U64, scale=scale, exact=True), encode(ref(Encoding.U64), count))
    assert isinstance(value, int | float)
    assert round(value / float(scale)) == count


@given(st.data(), st.sampled_from(FLOATS), st.sampled_from(Order))
def test_every_float_pattern_comes_back_or_is_no_value(data: st.DataObject, encoding: Encoding, order: Order) -> None:
    register = ref(encoding, order=order)
    words = data.draw(words_of(register.width))
    value = decode(register, words)
    assume(not isinstance(value, Status))
    assert encode(register, value) == (words if value else [0] * register.width)  # type: ignore[arg-type]  # no -0.0


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from(SCALES))
def test_a_scaled_float_returns_to_its_registers(raw: float, scale: Fraction) -> None:
    assume(abs(raw) > 1e-30)  # zeros lose their sign, subnormal values their digits
    plain, scaled = ref(Encoding.F32), ref(Encoding.F32, scale=scale)
    value = decode(scaled, encode(plain, raw))
    assume(not isinstance(value, Status))
    assert encode(scaled, value) == encode(plain, raw)  # type: ignore[arg-type]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8), st.sampled_from(Order))
def test_every_text_comes_back(text: str, order: Order) -> None:
    register = ref(Encoding.STRING, length=16, order=order)
    assert decode(register, encode(register, text)) == text


@given(st.integers(0, 15), st.integers(0, 0xFFFF), st.sampled_from([Order.ABCD, Order.CDAB]))
def test_a_bit_is_the_bit_of_the_register(bit: int, word: int, order: Order) -> None:
    assert decode(ref(Encoding.BOOL, bit=bit, order=order), [word]) == (word >> bit) % 2


@given(st.integers(0, 15), st.integers(0, 0xFFFF))
def test_a_bit_of_swapped_bytes_is_the_bit_after_swapping(bit: int, word: int) -> None:
    swapped = int.from_bytes(word.to_bytes(2, "little"), "big")
    assert decode(ref(Encoding.BOOL, bit=bit, order=Order.BADC), [word]) == (swapped >> bit) % 2


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("bit", [0, 7, 8, 15])
def test_a_written_bit_reads_back(bit: int, order: Order) -> None:
    register = ref(Encoding.BOOL, bit=bit, order=order)
    assert [decode(register, encode(register, value)) for value in (0, 1)] == [0, 1]


@pytest.mark.parametrize("table", [Table.COIL, Table.DISCRETE])
def test_a_coil_is_0_or_1_however_the_driver_spells_it(table: Table) -> None:
    register = ref(Encoding.BOOL, table=table)
    assert [decode(register, [raw]) for raw in (False, True, 0, 1)] == [0, 1, 0, 1]
    assert encode(register, 1) == [1]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (Order.ABCD, [0x0102, 0x0304, 0x0506, 0x0708]),
        (Order.BADC, [0x0201, 0x0403, 0x0605, 0x0807]),
        (Order.CDAB, [0x0708, 0x0506, 0x0304, 0x0102]),
        (Order.DCBA, [0x0807, 0x0605, 0x0403, 0x0201]),
    ],
)
def test_the_four_orders_reach_over_64_bits(order: Order, words: list[int]) -> None:
    assert decode(ref(Encoding.U64, order=order), words) == 0x0102030405060708


def test_an_unscaled_integer_stays_an_integer_and_a_scaled_one_is_never_truncated() -> None:
    plain = decode(ref(Encoding.U8_HIGH), [0x180D])
    scaled = decode(ref(Encoding.U8_HIGH, scale=Fraction(1, 10)), [0x180D])
    assert (plain, type(plain)) == (24, int)
    assert (scaled, type(scaled)) == (2.4, float)


@pytest.mark.parametrize("marker", [0x8000, -32768])
def test_a_marker_means_no_value_whether_written_signed_or_not(marker: int) -> None:
    register = ref(Encoding.I16, not_available=(marker,), scale=Fraction(1, 10))
    assert decode(register, [0x8000]) == NOT_AVAILABLE
    assert encode(register, None) == [0x8000]
    assert decode(register, [0x7FFF]) == 3276.7


@pytest.mark.parametrize("encoding", INTEGERS)
def test_every_integer_type_knows_its_all_ones_marker(encoding: Encoding) -> None:
    register = ref(encoding, not_available=((1 << encoding.bits) - 1,))
    assert decode(register, encode(register, None)) == NOT_AVAILABLE
    assert decode(register, encode(register, 1)) == 1


@pytest.mark.parametrize("encoding", FLOATS)
def test_a_float_that_is_not_a_number_is_no_value_and_infinity_is_out_of_range(encoding: Encoding) -> None:
    register = ref(encoding)
    assert decode(register, encode(register, None)) == NOT_AVAILABLE
    assert decode(register, encode(register, -math.inf)) == OUT_OF_RANGE


def test_a_float_marker_is_given_as_the_registers_contents() -> None:
    largest = struct.unpack(">I", struct.pack(">f", 3.4028234663852886e38))[0]
    register = ref(Encoding.F32, order=Order.CDAB, not_available=(largest,))
    assert decode(register, encode(register, None)) == NOT_AVAILABLE


def test_a_float_that_overflows_by_its_scale_is_out_of_range() -> None:
    assert decode(ref(Encoding.F64, scale=Fraction(1000)), encode(ref(Encoding.F64), 1e308)) == OUT_OF_RANGE


@pytest.mark.parametrize(("scale", "limit"), [(Fraction(1), EXACT_COUNT), (Fraction(1, 1000), EXACT_SCALED_COUNT)])
def test_a_counter_that_a_stored_float_cannot_give_back_is_out_of_range(scale: Fraction, limit: int) -> None:
    counter = ref(Encoding.U64, scale=scale, exact=True)
    assert decode(counter, encode(ref(Encoding.U64), limit)) == float(limit * scale)
    assert decode(counter, encode(ref(Encoding.U64), limit + 1)) == OUT_OF_RANGE


def test_bytes_that_are_no_text_are_a_fault() -> None:
    assert decode(ref(Encoding.STRING, length=1), [0xFFFE]) == SENSOR_FAULT


@pytest.mark.parametrize(
    ("register", "value"),
    [
        (ref(Encoding.U16), 65_536),
        (ref(Encoding.U16), -1),
        (ref(Encoding.U16), None),
        (ref(Encoding.U16), "1"),
        (ref(Encoding.U16), math.nan),
        (ref(Encoding.U16), math.inf),
        (ref(Encoding.U16, not_available=(0xFFFF,)), 0xFFFF),
        (ref(Encoding.I8_LOW, scale=Fraction(1, 10)), 12.8),
        (ref(Encoding.F32), 1e39),
        (ref(Encoding.BOOL, bit=1), 2),
        (ref(Encoding.BOOL, bit=1), None),
        (ref(Encoding.STRING, length=1), "abc"),
        (ref(Encoding.STRING, length=1), "\0"),
        (ref(Encoding.STRING, length=1), None),
    ],
)
def test_what_the_registers_cannot_say_is_refused(register: RegisterRef, value: float | str | None) -> None:
    with pytest.raises(ValueError, match=r"holding 0|NaN"):
        encode(register, value)


@pytest.mark.parametrize("encoding", [Encoding.U32, Encoding.F32, Encoding.I8_HIGH])
@pytest.mark.parametrize("words", [[], [1, 2, 3], [65_536, 0], [65_536]])
def test_words_that_are_not_the_registers_asked_for_are_refused(encoding: Encoding, words: list[int]) -> None:
    with pytest.raises(ValueError, match="needs"):
        decode(ref(encoding), words)
