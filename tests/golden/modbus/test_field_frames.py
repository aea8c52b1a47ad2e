"""Frames from manuals and field logs: check sum and length are checked here, the registers in them by our codec."""

import json
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from devices.codec import NOT_AVAILABLE, decode
from devices.register import Encoding, Order, RegisterRef, Table
from shopfloor.quality import Status
from shopfloor.sample import Value

Frame = dict[str, Any]
DEVIATIONS: dict[str, str] = yaml.safe_load((Path(__file__).parent / "deviations.yaml").read_text())["field_frames"]
TYPES = {"uint16": Encoding.U16, "uint32": Encoding.U32, "float32": Encoding.F32}
TABLES = {3: Table.HOLDING, 4: Table.INPUT, 16: Table.HOLDING}
WRITE_MULTIPLE = 16


@pytest.fixture(scope="module")
def document(shared_data: Path) -> dict[str, list[Frame]]:
    frames: dict[str, list[Frame]] = json.loads((shared_data / "modbus" / "field_frames.json").read_text("utf-8"))
    return frames


@pytest.fixture(scope="module")
def rtu(document: dict[str, list[Frame]]) -> list[Frame]:
    return [frame for frame in document["frames"] if frame["kind"] == "rtu"]


@pytest.fixture(scope="module")
def tcp(document: dict[str, list[Frame]]) -> list[Frame]:
    return [frame for frame in document["frames"] if frame["kind"] == "mbap"]


def crc(message: bytes) -> int:
    """The check sum of Modbus RTU (CRC-16, reflected polynomial 0xA001, start 0xFFFF)."""
    register = 0xFFFF
    for byte in message:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return register


def crc_holds(frame_hex: str) -> bool:
    frame = bytes.fromhex(frame_hex)
    return crc(frame[:-2]).to_bytes(2, "little") == frame[-2:]


def registers(data: bytes) -> list[int]:
    return [word for (word,) in struct.iter_unpack(">H", data)]


def values(words: Sequence[int], kind: str, table: Table) -> list[Value | Status]:
    name, _, order = kind.partition(" ")
    ref = RegisterRef(table=table, address=0, type=TYPES[name], order=Order(order or "ABCD"))
    return [decode(ref, words[start : start + ref.width]) for start in range(0, len(words), ref.width)]


def answered(pdu: bytes) -> list[int]:
    """The registers of a read reply; the byte count has to fit."""
    assert pdu[1] == len(pdu) - 2
    return registers(pdu[2:])


def carried(frame: Frame) -> list[int]:
    """The registers that an RTU exchange carries: in the reply of a read, in the request of a write."""
    if frame["expected"]["function"] == WRITE_MULTIPLE:
        return registers(bytes.fromhex(frame["request_hex"])[7:-2])
    return answered(bytes.fromhex(frame["response_hex"])[1:-2])


def agrees(expected: Frame, words: Sequence[int]) -> bool:
    found = values(words, expected["type"], TABLES[expected["function"]])
    if "values" in expected:
        return bool(found == expected["values"])
    digits = 4 if "values_4dp" in expected else 1
    rounded = [round(value, digits) for value in found if isinstance(value, float)]
    return bool(rounded == expected.get("values_4dp", expected.get("values_rounded")))


def reading_fails(frame: Frame) -> bool:
    """True where the frame as printed does not even hold its registers, or they say something else."""
    try:
        return not agrees(frame["expected"], carried(frame))
    except (AssertionError, struct.error, ValueError):
        return True


def test_the_check_sum_holds_exactly_where_the_source_printed_it_right(rtu: list[Frame]) -> None:
    assert len(rtu) == 10
    for frame in rtu:
        for end in ("request", "response"):
            if frame[f"{end}_hex"] is not None:
                assert crc_holds(frame[f"{end}_hex"]) == frame[f"crc_{end}_ok"], frame


def test_every_rtu_frame_reads_as_its_source_says_or_is_a_listed_deviation(rtu: list[Frame]) -> None:
    wrong = {frame["source"] for frame in rtu if reading_fails(frame)}
    assert wrong == set(DEVIATIONS)


def test_the_reply_fits_the_request(rtu: list[Frame]) -> None:
    for frame in rtu:
        if frame["request_hex"] is None or frame["source"] in DEVIATIONS:
            continue
        request = bytes.fromhex(frame["request_hex"])
        expected = frame["expected"]
        assert struct.unpack(">BHH", request[1:6]) == (expected["function"], expected["start"], expected["quantity"])
        assert len(carried(frame)) == expected["quantity"]


def test_every_tcp_frame_reads_as_its_source_says(tcp: list[Frame]) -> None:
    assert len(tcp) == 4
    for frame in tcp:
        adu, expected = bytes.fromhex(frame["response_hex"]), frame["expected"]
        _, protocol, length, unit = struct.unpack(">HHHB", adu[:7])
        assert (protocol, length == len(adu) - 6, unit) == (0, frame["mbap_length_ok"], expected.get("unit", unit))
        assert tcp_agrees(adu[7:], expected), frame


def tcp_agrees(pdu: bytes, expected: Frame) -> bool:
    if "exception" in expected:
        return pdu == bytes((expected["function"] | 0x80, expected["exception"]))
    words = answered(pdu)
    return pdu[0] == expected["function"] and (
        sunspec_common(words) == expected["fields"] if "fields" in expected else agrees(expected, words)
    )


def sunspec_common(words: Sequence[int]) -> dict[str, Value | Status]:
    """The SunSpec common model (id 1) in the order of its registers."""
    widths = {"model_id": 0, "length": 0, "manufacturer": 16, "model": 16, "options": 8, "version": 8, "serial": 16}
    fields: dict[str, Value | Status] = {}
    start = 0
    for name, length in {**widths, "address": 0}.items():
        fields[name] = text_or_number(words, start, length)
        start += length or 1
    assert start == len(words)
    return fields


def text_or_number(words: Sequence[int], start: int, length: int) -> Value | Status:
    encoding = Encoding.STRING if length else Encoding.U16
    ref = RegisterRef(table=Table.HOLDING, address=start, type=encoding, length=length or None)
    return decode(ref, words[start : start + ref.width])


def test_scaled_counters_of_a_meter_read_as_its_display(document: dict[str, list[Frame]]) -> None:
    facts = [fact for fact in document["register_facts"] if "scale" in fact]
    assert len(facts) == 2
    for fact in facts:
        ref = RegisterRef(
            table=TABLES[fact["function"]],
            address=fact["start"],
            type=TYPES[fact["type"].split()[0]],
            scale=Fraction(str(fact["scale"])),
            exact=True,
        )
        assert decode(ref, fact["registers"]) == fact["expected"]


def test_a_power_meters_block_has_its_texts_numbers_and_absent_values(document: dict[str, list[Frame]]) -> None:
    (fact,) = [fact for fact in document["register_facts"] if "start_register_1based" in fact]
    words, expected = fact["registers"], fact["expected"]
    texts = {30: "reg30..49 utf8", 50: "reg50..69 utf8", 70: "reg70..89 utf8"}
    assert {key: text_or_number(words, first - 1, 20) for first, key in texts.items()} == {
        key: expected[key] for key in texts.values()
    }
    assert text_or_number(words, 89, 0) == expected["reg90 uint16"]
    assert text_or_number(words, 94, 0) == expected["reg95"]
    absent = RegisterRef(table=Table.HOLDING, address=3, type=Encoding.I16, not_available=(0x8000,))
    assert decode(absent, words[3:4]) == NOT_AVAILABLE
