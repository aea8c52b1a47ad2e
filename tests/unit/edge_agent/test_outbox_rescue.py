"""Damage in every place: the agent goes on with a new outbox, what can be read is saved, and the ledgers balance."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.outbox import Outbox, OutboxCounts
from edge_agent.outbox_rescue import files_aside, open_outbox
from edge_agent.source_clock import Stamp
from messaging.receipt import Receipt
from shopfloor.clock import Trust
from shopfloor.errors import OutboxDamaged
from shopfloor.sample import Sample

NOW = 1_763_830_000_000
UNITS = ("s/a/l/a", "s/a/l/b")
SAMPLES = 4_000
CONFIRMED = 1_000


def sample(number: int) -> Sample:
    return Sample(unit=UNITS[number % 2], time=NOW + number, values={"good": number, "power_kw": number / 7})


def filled(path: Path) -> str:
    """An outbox with 3,000 samples, two of them undated; its id."""
    box = Outbox(path, max_samples=100_000)
    box.append([sample(number) for number in range(SAMPLES - 2)])
    undated = [sample(number) for number in (SAMPLES - 2, SAMPLES - 1)]
    box.append(undated, [Stamp(one.time, 500 + number, "boot", dated=False) for number, one in enumerate(undated)])
    box.mark_sent(CONFIRMED)
    box.confirm(Receipt(box.outbox_id, CONFIRMED))
    box.close()
    return box.outbox_id


def balances(counts: OutboxCounts) -> bool:
    return counts.polled >= counts.appended == counts.confirmed + counts.in_outbox + counts.evicted


def opened(path: Path) -> Outbox:
    return open_outbox(path, now=NOW, max_samples=100_000)


def overwrite(at: Callable[[int], int], length: int, byte: bytes = b"\xa5") -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(at(path.stat().st_size))
            file.write(byte * length)

    return damage


def run_sql(*statements: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path)) as db, db:
            for statement in statements:
                db.execute(statement)

    return damage


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def letter(path: Path) -> None:
    path.write_bytes(b"this is no database, it is a letter" * 100)


def other_program(path: Path) -> None:
    path.unlink()
    run_sql("CREATE TABLE songs (title TEXT)")(path)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(letter, id="a letter"),
        pytest.param(lambda path: os.truncate(path, 0), id="zero bytes"),
        pytest.param(overwrite(lambda _: 0, 100), id="no header"),
        pytest.param(overwrite(lambda _: 20, 80), id="half a header"),
        pytest.param(cut_in_half, id="cut in half"),
        pytest.param(other_program, id="of another program"),
        pytest.param(run_sql("DROP TABLE sample"), id="a table is gone"),
        pytest.param(run_sql("DELETE FROM ledger"), id="no ledger"),
        pytest.param(run_sql("UPDATE ledger SET confirmed = confirmed + 1"), id="does not balance"),
        pytest.param(run_sql("DELETE FROM sample WHERE seq = 1700"), id="a row is gone"),
    ],
)
def test_any_damage_is_set_aside_and_a_new_outbox_goes_on(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "outbox-edge.db"
    old = filled(path)
    damage(path)
    with pytest.raises(OutboxDamaged, match="set aside"):
        Outbox(path, max_samples=100_000)
    box = opened(path)
    assert box.outbox_id != old
    assert [aside.name for aside in files_aside(path)] == ["outbox-edge.db.damaged-20251122T164640Z"]
    assert balances(box.counts())
    assert all(balances(counts) for counts in box.closed.values())
    assert all(each.sample == sample(each.sample.time - NOW) for each in box.pending(limit=SAMPLES))
    box.append([Sample(unit=UNITS[0], time=NOW + SAMPLES, values={"good": 1})])
    assert box.pending(limit=SAMPLES)[-1].trust is Trust.SYNCED
    box.close()
    opened(path).close()
    assert len(files_aside(path)) == 1


def test_a_file_that_does_not_balance_is_saved_whole_and_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    old = filled(path)
    run_sql("DELETE FROM sample WHERE seq = 1700")(path)
    box = opened(path)
    saved = [each.sample.time - NOW for each in box.pending(limit=SAMPLES)]
    assert saved == [number for number in range(CONFIRMED, SAMPLES - 2) if number != 1_699]
    assert {each.trust for each in box.pending(limit=SAMPLES)} == {Trust.SYNCED}
    assert box.undated == 2
    assert box.last_time(UNITS[0]) == NOW + SAMPLES - 4
    counts, (closed,) = box.counts(), box.closed.values()
    assert list(box.closed) == [old]
    assert (counts.appended, counts.in_outbox) == (2_999, 2_999)
    assert (closed.polled, closed.appended, closed.confirmed, closed.evicted) == (1_001, 1_001, 1_000, 1)
    box.date(Stamp(NOW + 10_000, 900, "boot", dated=True))
    assert [each.sample.time for each in box.pending(limit=SAMPLES)][-2:] == [NOW + 9_600, NOW + 9_601]
    box.close()


def test_behind_a_torn_page_the_rest_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    filled(path)
    overwrite(lambda size: size // 2 // 4_096 * 4_096, 4_096)(path)
    box = opened(path)
    if not files_aside(path):  # the page was not looked at yet: it is found when it is read
        with pytest.raises(OutboxDamaged):
            box.pending(limit=SAMPLES)
        box.close()
        pytest.fail("opening an outbox visits each of its pages")
    saved = [each.sample.time - NOW for each in box.pending(limit=SAMPLES)]
    assert saved == sorted(saved)
    assert 2_700 < len(saved) < 2_998
    assert {CONFIRMED, SAMPLES - 3} <= set(saved)
    counts, (closed,) = box.counts(), box.closed.values()
    assert counts.appended + closed.appended == SAMPLES
    assert closed.evicted == 3_000 - counts.appended
    box.close()


def test_the_format_before_is_saved_too(tmp_path: Path) -> None:
    from tests.unit.edge_agent.test_outbox import format_1

    path = tmp_path / "o.db"
    format_1(path)
    run_sql("UPDATE ledger SET appended = 98, polled = 99, confirmed = 96")(path)
    box = opened(path)
    assert len(files_aside(path)) == 1
    assert [(each.sample.time, each.sample.unit, each.trust) for each in box.pending()] == [
        (30, "s/a/l/a", Trust.SYNCED),
        (50, "s/a/l/b", Trust.STEPPED),
    ]
    box.close()


def test_random_damage_never_stops_it_and_never_makes_a_sample_up(tmp_path: Path) -> None:
    path, whole = tmp_path / "o.db", tmp_path / "whole.db"
    filled(whole)
    rng, size = random.Random(7), whole.stat().st_size
    for _ in range(25):
        shutil.copy(whole, path)
        with path.open("r+b") as file:
            for _ in range(rng.choice((1, 20))):
                file.seek(rng.randrange(size))
                file.write(rng.randbytes(rng.choice((1, 600))))
        box = opened(path)
        try:
            found = box.pending(limit=SAMPLES)
        except OutboxDamaged:
            box.close()
            box = opened(path)
            found = box.pending(limit=SAMPLES)
        assert all(each.sample == sample(each.sample.time - NOW) for each in found)
        assert balances(box.counts())
        box.close()
        for file_aside in files_aside(path):
            file_aside.unlink()
