"""The parts of the fault harness that must be right for its verdict to mean anything."""

import asyncio
import json
import math
import random
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli.plants import load_plant
from ingest.mapping import Judge
from messaging.receipt import Receipt, encode_receipt
from shopfloor.clock import SystemClock
from shopfloor.machine_state import TimeCategory
from shopfloor.sample import Sample
from simulators.journal import Entry
from simulators.scenario import Script
from tests.soak.books import Committed, compared
from tests.soak.faults import device_back
from tests.soak.garbage import Garbage
from tests.soak.link import Link
from tests.soak.oracle import continuous_s, expected
from tests.soak.verdict import _starved
from tests.soak.waits import Waits
from tests.soak.wire import Frames, HeardOutbox, Wire
from tests.soak.works import PLANT, JournalTail

CNC, METER = "works/machining/line-1/cnc-01", "works/utilities/intake/main-meter"
T = 1_700_000_000_000


def published(topic: str, payload: bytes) -> bytes:
    body = struct.pack(">H", len(topic)) + topic.encode() + b"\x00\x01" + payload
    length, head = len(body), bytearray([0x32])
    while True:
        digit, length = length & 0x7F, length >> 7
        head.append(digit | 0x80 if length else digit)
        if not length:
            return bytes(head) + body


def test_messages_are_heard_however_the_stream_is_cut() -> None:
    stream = b"\x10\x02ab" + published("v1/a", b"x" * 300) + b"\xd0\x00" + published("v1/b", b"")
    rng = random.Random(1)
    for _ in range(50):
        frames, heard, at = Frames(), [], 0
        while at < len(stream):
            step = rng.randint(1, 200)
            heard += frames.feed(stream[at : at + step])
            at += step
        assert heard == [("v1/a", b"x" * 300), ("v1/b", b"")]


def test_the_wire_knows_what_was_sent_and_what_was_settled() -> None:
    wire = Wire()
    sample = {"seq": 5, "t": T, "v": {"state": 1}}
    told = {"agent": "edge-a", "outbox": "f00d", "low": 3, "samples": [sample]}
    wire.heard("edge-a", f"v1/soak-works/{CNC}/samples/edge-a", json.dumps(told).encode())
    assert wire.unsettled("edge-a") == 3  # 3, 4 and 5; all below 3 is settled by its own word
    wire.receipted("v1/receipts/edge-a", encode_receipt(Receipt("f00d", 2)))
    assert wire.quiet_s("edge-a") == math.inf, "a receipt that covers nothing new confirms nothing"
    wire.receipted("v1/receipts/edge-a", encode_receipt(Receipt("f00d", 2, ((5, 5),))))
    assert wire.unsettled("edge-a") == 2
    assert wire.quiet_s("edge-a") < math.inf
    wire.receipted("v1/receipts/edge-a", encode_receipt(Receipt("f00d", 2**50)))
    assert wire.unsettled("edge-a") == 2, "a receipt for what was never sent counts nothing"


async def test_a_stalled_link_delivers_to_those_who_still_wait_alone() -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            heard.append(data)
            writer.write(data.upper())
        writer.close()

    device = await asyncio.start_server(answer, "127.0.0.1", 0)
    link = Link("line", device.sockets[0].getsockname())
    await link.open()
    waiting = await asyncio.open_connection("127.0.0.1", link.port)
    leaving = await asyncio.open_connection("127.0.0.1", link.port)
    for number, (reader, writer) in enumerate((waiting, leaving)):
        writer.write(b"fine%d" % number)
        assert await reader.read(100) == b"FINE%d" % number
    link.stall()
    late = await asyncio.open_connection("127.0.0.1", link.port)
    for name, (_, writer) in {b"stays": waiting, b"leaves": leaving, b"leaves too": late}.items():
        writer.write(name)
        await writer.drain()
    for _, writer in (leaving, late):
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.1)
    link.mend()
    assert await waiting[0].read(100) == b"STAYS"
    await asyncio.sleep(0.1)
    assert heard == [b"fine0", b"fine1", b"stays"]
    waiting[1].close()
    await link.close()
    device.close()


def test_a_line_that_is_mended_too_late_for_a_try_is_of_use_at_the_next() -> None:
    assert device_back(T, T + 3_200, 3) == T + 3_200, "in time for the try 3 scans after the first failed poll"
    assert device_back(T, T + 3_600, 3) == T + 7_500
    assert device_back(T, T + 7_800, 7) == T + 15_500


def test_all_garbage_is_refused_and_no_two_pieces_are_alike() -> None:
    plant = load_plant(PLANT)
    judge, garbage, seen = Judge(plant), Garbage(plant, random.Random(3)), set[str]()
    for number in range(5_000):
        agent = ("edge-a", "edge-b")[number % 2]
        judgement = judge.judge(*garbage.message(agent), SystemClock().now())
        assert not judgement.good, judgement
        (letter,) = judgement.letters
        assert letter.identity not in seen
        seen.add(letter.identity)


def entry(n: int, t: int, unit: str = CNC, **values: float) -> Entry:
    return Entry(unit, n, t, {"state": 1, "x_reading": n, **values} if unit == CNC else dict(values))


def stored(t: int, unit: str = CNC, **values: float) -> Sample:
    return Sample(unit=unit, time=t, values=values)


def heard(*samples: Sample) -> dict[str, HeardOutbox]:
    outbox = HeardOutbox("edge-a")
    outbox.samples = {seq: (sample.unit, sample.time) for seq, sample in enumerate(samples, start=1)}
    return {"f00d": outbox}


def committed(count: int) -> list[Committed]:
    return [Committed("f00d", "edge-a", count, count, 0, 0, 0, count)]


def test_books_that_agree_have_nothing_to_say() -> None:
    samples = [stored(T, state=1, x_reading=1), stored(T + 1000), stored(T + 2000, state=1, x_reading=2)]
    journal = [entry(1, T + 3), entry(2, T + 2004)]
    books = compared({CNC: samples}, journal, heard(*samples), committed(3))
    assert (books.lost, books.phantom, books.wrong, books.left) == ([], [], [], [])
    assert (books.appended, books.stored, books.unanswered, books.unpersisted) == (3, 3, 1, 0)


def test_what_was_sent_and_is_not_stored_is_lost_and_so_is_what_was_never_sent() -> None:
    first, second = stored(T, state=1, x_reading=1), stored(T + 1000, state=1, x_reading=2)
    books = compared({CNC: [first]}, [entry(1, T), entry(2, T + 1001)], heard(first, second), committed(3))
    assert len(books.lost) == books.lost_of["edge-a"] == 2
    assert books.unpersisted == 0, "the lost reading was committed"


def test_a_reading_at_two_times_without_journal_or_without_message_is_a_phantom() -> None:
    twice = [stored(T, state=1, x_reading=1), stored(T + 7, state=1, x_reading=1)]
    assert len(compared({CNC: twice}, [entry(1, T + 8)], heard(*twice), committed(2)).phantom) == 1
    assert len(compared({CNC: twice[:1]}, [], heard(twice[0]), committed(1)).phantom) == 1
    assert len(compared({CNC: twice[:1]}, [entry(1, T)], heard(), committed(0)).phantom) == 1


@pytest.mark.parametrize(
    ("sample", "answered"),
    [
        (stored(T, state=2, x_reading=1), T + 5),
        (stored(T, state=1, x_reading=1), T + 5_000),
        (stored(T, state=1, x_reading=1), T - 500),
        (stored(T, x_reading=1), T + 5),
        (stored(T, state=1, x_reading=1, power_kw=1.0), T + 5),
    ],
)
def test_another_value_or_another_time_is_wrong(sample: Sample, answered: int) -> None:
    books = compared({CNC: [sample]}, [entry(1, answered)], heard(sample), committed(1))
    assert len(books.wrong) == 1
    assert not books.lost


@pytest.mark.parametrize(("waited_s", "wrong"), [(0.0, 1), (1.9, 1), (2.1, 0)])
def test_an_answer_may_come_as_much_later_as_somebody_waited_for_a_processor(waited_s: float, wrong: int) -> None:
    late = [stored(T, state=1, x_reading=1)]
    told = compared({CNC: late}, [entry(1, T + 5_000)], heard(*late), committed(1), waited_s=lambda *_: waited_s)
    assert len(told.wrong) == wrong


def test_a_device_without_numbers_is_matched_by_time_and_values() -> None:
    samples = [stored(T, METER, power_kw=1.0), stored(T + 1000, METER, power_kw=1.0)]
    journal = [entry(1, T + 2, METER, power_kw=1.0), entry(2, T + 1002, METER, power_kw=1.0)]
    assert not compared({METER: samples}, journal, heard(*samples), committed(2)).phantom
    assert len(compared({METER: samples}, journal[:1], heard(*samples), committed(2)).phantom) == 1


def test_a_reading_that_is_nowhere_was_unpersisted_unless_its_poll_failed() -> None:
    bad = stored(T + 1000)
    journal = [entry(1, T + 3), entry(2, T + 1003)]
    books = compared({CNC: [bad]}, journal, heard(bad), committed(1))
    assert (books.unpersisted, books.undelivered) == (1, 1)


def test_expected_time_is_known_as_long_as_a_reading_holds() -> None:
    unit = load_plant(PLANT).units[CNC]
    script = Script(unit, 1, T)
    readings = [(T + at, Entry(CNC, n, T + at, {})) for n, at in enumerate((0, 1000, 2000, 7000, 8000))]
    found = expected(unit, script, readings)
    assert sum(found.seconds.values()) == 8.0
    assert found.seconds["unknown"] == 3.0, "from 2 s after the third reading to the fourth"
    assert set(found.seconds) <= {str(category) for category in TimeCategory}


def test_a_bad_sample_ends_what_is_known() -> None:
    unit = load_plant(PLANT).units[CNC]
    readings = [(T, Entry(CNC, 1, T, {})), (T + 500, None), (T + 1500, Entry(CNC, 2, T + 1500, {}))]
    assert expected(unit, Script(unit, 1, T), readings).seconds["unknown"] == 1.0


def test_a_border_is_seen_at_the_next_reading_however_late_that_comes() -> None:
    unit = load_plant(PLANT).units[CNC]
    script = Script(unit, 1, T)
    script.until(T + 600_000)
    border = next(each.start for each in script.segments[1:] if each.category is TimeCategory.RUNNING)
    times = [border - 1_050, border - 50, border + 1_850, border + 2_850]
    readings = [(time, Entry(CNC, n, time, {})) for n, time in enumerate(times)]
    true_s, bounds_s = continuous_s(script, unit, readings)
    seen_s = expected(unit, script, readings).seconds
    assert true_s["running"] - seen_s["running"] == pytest.approx(1.85)
    assert 1.85 <= bounds_s["running"] <= 1.9


@pytest.mark.parametrize(("share", "excused"), [(0.4, False), (0.8, True)])
def test_a_pause_is_nobodys_fault_as_far_as_somebody_waited_for_a_processor(share: float, excused: bool) -> None:
    waits = Waits(dict)
    for at in range(-1_000, 9_000, 200):
        waits.note("edge-a", 7 if at < 2_000 else 8, max(0, min(at, 3_000)) * share, T + at)
        waits.note("simulators", 9, 10_000.0, T + at)
    assert waits.between_s(("edge-a", "simulators"), T + 2_300, T + 5_000) == pytest.approx(share * 0.8 + share * 0.4)
    assert waits.between_s(("edge-a", "simulators"), T + 4_000, T + 5_000) == 0.0
    works = SimpleNamespace(agents=("edge-a",), units_of=lambda _: [CNC], waits=waits)
    readings = [(T + at, Entry(CNC, n, T + at, {})) for n, at in enumerate((0, 1_000, 7_000, 8_000))]
    found = [(each.start, each.end) for each in _starved(works, CNC, readings, [])]
    assert found == ([(T + 3_000, T + 7_000)] if excused else [])


def test_a_journal_is_read_from_now_on_whole_lines_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    line = json.dumps({"unit": CNC, "n": 1, "t": T, "values": {}}) + "\n"
    path.write_text(line + line[:20])
    tail = JournalTail.from_now(path)
    assert tail.first_after(0, {CNC}) == {}
    with path.open("a") as file:
        file.write(line[20:].replace(str(T), str(T + 5)))
    assert tail.first_after(0, {CNC}) == {CNC: T + 5}
