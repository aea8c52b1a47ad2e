"""What of a unit's samples stays in memory: what a derivation asks for, and no more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from historian.embedded import EmbeddedHistorian
from historian.records import sample_point
from ingest.sample_tail import HELD, SLACK, SampleTail
from shopfloor.columns import SampleColumns
from shopfloor.instant import MINUTE, Instant
from shopfloor.sample import Sample

UNIT = "works/machining/line-1/cnc-01"
START = 1_763_830_000_000


class Asked(EmbeddedHistorian):
    """Notes from when on samples are read from the store."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.since: list[Instant] = []

    def samples(self, enterprise: str, unit: str, start: Instant | None, end: Instant | None) -> SampleColumns:
        self.since.append(0 if start is None else start)
        return super().samples(enterprise, unit, start, end)


@pytest.fixture
def historian(tmp_path: Path) -> Iterator[Asked]:
    store = Asked(tmp_path / "historian")
    yield store
    store.close()


class Plant:
    """One unit, read once a minute, derived after each reading."""

    def __init__(self, historian: Asked) -> None:
        self.historian = historian
        self.tail = SampleTail(historian, "works", UNIT)
        self.now = START

    def live(self, minutes: int, back: int = 20 * MINUTE) -> None:
        """So many readings, each with a derivation that looks back so far."""
        for _ in range(minutes):
            self.now += MINUTE
            self.historian.write([sample_point("works", Sample(unit=UNIT, time=self.now, values={"state": 1}))])
            self.tail.changed(self.now, self.now + 1)
            self.tail.hold(self.now - back)
            times = list(self.tail.between(self.now - back, self.now + 1).times)
            assert times == list(range(max(START + MINUTE, self.now - back), self.now + 1, MINUTE))

    def read_from_store(self, since: Instant) -> bool:
        """Whether samples from then on are read from the store."""
        before = len(self.historian.since)
        self.tail.between(since, self.now)
        return len(self.historian.since) > before


def test_a_live_derivation_reads_new_samples_alone_and_old_ones_are_let_go(historian: Asked) -> None:
    plant = Plant(historian)
    plant.live(300)
    assert all(since > START + 18 * MINUTE for since in historian.since[21:])
    assert not plant.read_from_store(plant.now - 20 * MINUTE)
    assert plant.read_from_store(plant.now - 21 * MINUTE - 2 * SLACK)


def test_what_late_data_ask_for_now_and_then_stays(historian: Asked) -> None:
    plant = Plant(historian)
    plant.live(120)
    plant.tail.hold(plant.now - 60 * MINUTE)
    read = len(historian.since)
    for _ in range(6):
        plant.live(10)
        plant.tail.hold(plant.now - 60 * MINUTE)
        assert not plant.read_from_store(plant.now - 60 * MINUTE)
    assert all(since > START + 119 * MINUTE for since in historian.since[read:]), "a stretch is read once"
    plant.live(60)
    assert plant.read_from_store(plant.now - 60 * MINUTE)


def test_what_is_long_ago_is_never_held(historian: Asked) -> None:
    plant = Plant(historian)
    plant.live(120)
    plant.tail.hold(plant.now - HELD - MINUTE)
    assert plant.read_from_store(plant.now - HELD - MINUTE)
    assert not plant.read_from_store(plant.now - 20 * MINUTE)
