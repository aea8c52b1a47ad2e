"""Published decoding cases against our codec. Where we differ, ``deviations.yaml`` says why, and must be right."""

import json
import math
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from devices.codec import decode
from devices.register import Encoding, Order, RegisterRef, Table

Vector = dict[str, Any]
DEVIATIONS: dict[str, str] = yaml.safe_load((Path(__file__).parent / "deviations.yaml").read_text())["register_vectors"]
ORDERS = {"AB": Order.ABCD, "BA": Order.DCBA, "ABCDEFGH": Order.ABCD, "BADCFEHG": Order.BADC}
ORDERS |= {"GHEFCDAB": Order.CDAB, "HGFEDCBA": Order.DCBA, **{order.value: order for order in Order}}
TYPES = {
    "BIT": Encoding.BOOL,
    "UINT8L": Encoding.U8_LOW,
    "UINT8H": Encoding.U8_HIGH,
    "INT8L": Encoding.I8_LOW,
    "INT8H": Encoding.I8_HIGH,
    "STRING": Encoding.STRING,
    **{f"UINT{bits}": Encoding(f"u{bits}") for bits in (16, 32, 64)},
    **{f"INT{bits}": Encoding(f"i{bits}") for bits in (16, 32, 64)},
    **{f"FLOAT{bits}": Encoding(f"f{bits}") for bits in (16, 32, 64)},
    **{f"FLOAT{bits}-IEEE": Encoding(f"f{bits}") for bits in (16, 32, 64)},
}


@pytest.fixture(scope="module")
def vectors(shared_data: Path) -> dict[str, Vector]:
    document = json.loads((shared_data / "modbus" / "register_vectors.json").read_text(encoding="utf-8"))
    return {f"{vector['source'].split()[-1]}/{vector['name']}": vector for vector in document["vectors"]}


def test_every_vector_agrees_or_is_a_listed_deviation(vectors: dict[str, Vector]) -> None:
    assert len(vectors) == 106
    wrong = {name: outcome(vector) for name, vector in vectors.items() if not agrees(vector)}
    assert wrong.keys() - DEVIATIONS.keys() == set(), wrong


def test_no_listed_deviation_agrees_or_is_unknown(vectors: dict[str, Vector]) -> None:
    stale = [name for name in DEVIATIONS if name not in vectors or agrees(vectors[name])]
    assert stale == []
    assert all(len(reason) > 20 for reason in DEVIATIONS.values())


def agrees(vector: Vector) -> bool:
    found, expected = outcome(vector), vector["expected"]
    if not isinstance(found, int | float):
        return bool(found == expected)
    if vector["expected_type"] == "float32":
        return single(found) == single(expected)
    return math.isclose(found, expected, rel_tol=2**-53)


def single(value: float) -> bytes:
    return struct.pack(">f", value)


def outcome(vector: Vector) -> object:
    return decode(reference(vector), list(words(vector)))


def words(vector: Vector) -> Iterator[int]:
    if of_coil(vector):
        yield int(vector.get("register_bytes_hex") == "01" or vector.get("write_raw") == "0xFF00")
        return
    yield from (word for (word,) in struct.iter_unpack(">H", bytes.fromhex(vector["register_bytes_hex"])))


def of_coil(vector: Vector) -> bool:
    return "Coil" in vector["source"]


def reference(vector: Vector) -> RegisterRef:
    if of_coil(vector):
        return RegisterRef(table=Table.COIL, address=vector["address"][0], type=Encoding.BOOL)
    encoding = encoding_of(vector)
    return RegisterRef(
        table=Table.HOLDING,
        address=vector["address"][0],
        type=encoding,
        order=ORDERS[vector["byteOrder"]],
        scale=Fraction(str(vector.get("scale", 1))),
        bit=vector.get("bit"),
        length=len(vector["register_bytes_hex"]) // 4 if encoding is Encoding.STRING else None,
    )


def encoding_of(vector: Vector) -> Encoding:
    name = vector.get("dataType") or vector["dataTypeIn"]
    return Encoding(f"i{16 * vector['quantity']}") if name == "FIXED" else TYPES[name]
