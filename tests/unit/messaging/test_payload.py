import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import messaging.payload as payload_module
from messaging.payload import (
    MAX_INTEGER,
    MAX_MESSAGE_BYTES,
    MAX_TAGS,
    Fault,
    SampleMessage,
    Sequenced,
    decode,
    encode,
    legible,
    legible_seq,
)
from messaging.topic import SampleTopic
from shopfloor.clock import Trust
from shopfloor.errors import MessageRejected
from shopfloor.quality import COMM_LOST, Quality, Reason, Status
from shopfloor.sample import Sample

TOPIC = SampleTopic.parse("v1/logam-jaya/ceper/machining/line-1/cnc-01/samples/edge-1")
UNIT = "ceper/machining/line-1/cnc-01"
GOOD = {"seq": 7, "t": 1_763_830_000_123, "v": {"state": 1}}


def wire(*samples, **changes):
    envelope = {
        "agent": "edge-1",
        "outbox": "5f0c",
        "boot": "b7e1",
        "clock": "synced",
        "mono_ms": 88_123,
        "low": 5,
        "oldest_t": 1_763_829_990_123,
        "samples": list(samples),
    }
    return json.dumps(envelope | changes).encode()


numbers = st.integers(-MAX_INTEGER, MAX_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)
values = st.dictionaries(st.sampled_from(["state", "good", "power_kw", "x_load"]), numbers) | st.dictionaries(
    st.sampled_from(["x_note_text", "x_heat_text"]), st.text(max_size=20)
)
status = st.dictionaries(
    st.sampled_from(["temperature_c", "pressure_bar"]),
    st.builds(Status, st.just(Quality.BAD), st.sampled_from(Reason)),
    min_size=1,
)
samples = st.builds(Sample, unit=st.just(UNIT), time=st.integers(1, 4_000_000_000_000), values=values, status=status)
messages = st.builds(
    SampleMessage,
    agent=st.just("edge-1"),
    outbox=st.text("0123456789abcdef", min_size=1, max_size=32),
    boot=st.just("b7e1"),
    clock=st.sampled_from(Trust),
    mono_ms=st.integers(0, MAX_INTEGER),
    low=st.integers(0, MAX_INTEGER),
    oldest_t=st.integers(0, 4_000_000_000_000),
    samples=st.lists(st.builds(Sequenced, st.integers(0, MAX_INTEGER), samples), min_size=1, max_size=4).map(tuple),
)


@given(messages)
def test_a_message_reads_back_as_it_was_written(message):
    decoded = decode(TOPIC, encode(message))
    assert decoded.message == message
    assert decoded.refused == ()


def test_the_wire_is_the_one_of_the_design():
    sample = Sample(unit=UNIT, time=1_763_830_000_123, values={"state": 1}, status={"temperature_c": COMM_LOST})
    message = SampleMessage(
        agent="edge-1",
        outbox="5f0c",
        boot="b7e1",
        clock=Trust.SYNCED,
        mono_ms=88_123,
        low=5,
        oldest_t=1_763_829_990_123,
        samples=(Sequenced(7, sample),),
    )
    bad = {"temperature_c": ["bad", "comm_lost"]}
    assert json.loads(encode(message)) == json.loads(wire(GOOD | {"q": bad}))


def test_integers_stay_integers_and_floats_floats():
    [(_, sample)] = decode(TOPIC, wire(GOOD | {"v": {"good": 3, "power_kw": 3.0}})).message.samples
    assert [type(value) for value in sample.values.values()] == [int, float]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Fault.NOT_JSON),
        (b"\xff\xfe", Fault.NOT_JSON),
        (b'{"agent": "edge-1"', Fault.NOT_JSON),
        (b"[1, 2]", Fault.WRONG_TYPE),
        (b"null", Fault.WRONG_TYPE),
        (wire(GOOD, low="5"), Fault.WRONG_TYPE),
        (wire(GOOD, clock="sundial"), Fault.WRONG_TYPE),
        (wire(GOOD, outbox="a\nb"), Fault.WRONG_TYPE),
        (wire(GOOD, outbox=""), Fault.WRONG_TYPE),
        (wire(GOOD, low=-1), Fault.BAD_SEQ),
        (wire(GOOD, oldest_t=-1), Fault.BAD_TIME),
        (wire(GOOD, agent="edge-2"), Fault.FOREIGN_AGENT),
        (wire(), Fault.EMPTY),
        (wire(GOOD) + b" " * MAX_MESSAGE_BYTES, Fault.OVERSIZED),
        (b'{"samples":' + b"[" * 100_000, Fault.NOT_JSON),
    ],
)
def test_a_wrong_envelope_refuses_the_message_with_its_reason(payload, reason):
    with pytest.raises(MessageRejected) as refused:
        decode(TOPIC, payload)
    assert refused.value.reason == reason


WRONG_SAMPLES = [
    (GOOD | {"seq": "7"}, Fault.WRONG_TYPE),
    (GOOD | {"seq": -1}, Fault.BAD_SEQ),
    (GOOD | {"t": 0}, Fault.BAD_TIME),
    (GOOD | {"t": 1_763_830_000.5}, Fault.WRONG_TYPE),
    (GOOD | {"t": 9_999_999_999_999}, Fault.BAD_TIME),
    (GOOD | {"v": {}}, Fault.EMPTY),
    (GOOD | {"v": {"state": True}}, Fault.WRONG_TYPE),
    (GOOD | {"v": {"state": None}}, Fault.WRONG_TYPE),
    (GOOD | {"v": {"state": "running"}}, Fault.WRONG_TYPE),
    (GOOD | {"v": {"x_note_text": 4}}, Fault.WRONG_TYPE),
    (GOOD | {"v": {"x_note_text": "x" * 2_000}}, Fault.OUT_OF_RANGE),
    (GOOD | {"v": {"good": 2**53 + 1}}, Fault.OUT_OF_RANGE),
    (GOOD | {"v": {"good": 2**53 + 1, "power_kw": 0.0}}, Fault.OUT_OF_RANGE),
    (GOOD | {"v": {"speed": 1}}, Fault.UNKNOWN_TAG),
    (GOOD | {"v": {"x_Load": 1}}, Fault.UNKNOWN_TAG),
    (GOOD | {"v": {"status_text": "state=good"}}, Fault.UNKNOWN_TAG),
    (GOOD | {"v": {f"x_{n}": n for n in range(MAX_TAGS + 1)}}, Fault.OVERSIZED),
    (GOOD | {"q": {"power_kw": ["good", "stale"]}}, Fault.BAD_QUALITY),
    (GOOD | {"q": {"state": ["bad", "stale"]}}, Fault.BAD_QUALITY),
    (GOOD | {"q": {"power_kw": ["uncertain", "stale"]}}, Fault.BAD_QUALITY),
    (GOOD | {"q": {"power_kw": ["bad", "tired"]}}, Fault.WRONG_TYPE),
    (17, Fault.WRONG_TYPE),
]


@pytest.mark.parametrize(("wrong", "reason"), WRONG_SAMPLES)
def test_a_wrong_sample_does_not_take_its_neighbours_along(wrong, reason):
    decoded = decode(TOPIC, wire(GOOD | {"seq": 6}, wrong, GOOD | {"seq": 8}))
    assert [seq for seq, _ in decoded.message.samples] == [6, 8]
    [refused] = decoded.refused
    assert refused.reason == reason
    assert json.loads(refused.raw) == wrong


def test_a_number_too_large_for_a_float_is_not_finite():
    payload = wire(GOOD | {"v": {"power_kw": 4711}}, GOOD).replace(b"4711", b"1e999")
    decoded = decode(TOPIC, payload)
    assert [refused.reason for refused in decoded.refused] == [Fault.NOT_FINITE]
    assert len(decoded.message.samples) == 1


def test_a_number_that_is_none_is_refused_at_the_other_side():
    sample = Sample(unit=UNIT, time=GOOD["t"], values={"power_kw": float("nan")})
    message = decode(TOPIC, wire(GOOD)).message
    broken = SampleMessage(
        agent="edge-1",
        outbox="5f0c",
        boot="b7e1",
        clock=Trust.SYNCED,
        mono_ms=0,
        low=0,
        oldest_t=0,
        samples=(*message.samples, Sequenced(8, sample)),
    )
    decoded = decode(TOPIC, encode(broken))
    assert [refused.seq for refused in decoded.refused] == [8]


def test_a_refused_message_still_tells_whose_samples_it_held():
    remains = legible(TOPIC, wire(GOOD, GOOD | {"seq": 9}, low="x"))
    assert remains is not None
    assert (remains.outbox, [seq for seq, _ in remains.samples]) == ("5f0c", [7, 9])


@pytest.mark.parametrize("payload", [b"", wire(), wire(GOOD, {"t": 1}), wire(GOOD, agent="edge-2"), wire(17)])
def test_what_cannot_be_told_in_full_is_not_settled(payload):
    assert legible(TOPIC, payload) is None


def test_a_seq_is_only_a_number_of_an_outbox():
    assert legible_seq(b'{"seq": 4, "t": "x"}') == 4
    assert legible_seq(b'{"seq": -4}') is None
    assert legible_seq(b"[") is None


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_refused(payload):
    with pytest.raises(MessageRejected):
        decode(TOPIC, payload)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
odd_values = st.dictionaries(st.sampled_from(["state", "x_load", "x_note_text", "State", "oee"]), numbers | anything)
odd_samples = st.fixed_dictionaries(
    {"seq": st.integers(-1, 5) | anything, "t": st.integers(-1, 5) | anything, "v": odd_values | anything},
    optional={"q": st.dictionaries(st.sampled_from(["state", "x_load"]), st.just(["bad", "comm_lost"])) | anything},
)
odd_changes = st.dictionaries(st.sampled_from(["agent", "outbox", "clock", "low", "oldest_t"]), anything, max_size=1)


@given(st.lists(odd_samples | st.just(GOOD), max_size=3), odd_changes)
def test_the_quick_way_through_a_message_says_what_the_careful_one_says(samples, changes):
    payload = wire(*samples, **changes)
    try:
        careful = payload_module._one_by_one(TOPIC, payload)
    except MessageRejected as fault:
        careful = (fault.reason, str(fault))
    try:
        quick = decode(TOPIC, payload)
    except MessageRejected as fault:
        quick = (fault.reason, str(fault))
    assert quick == careful
