"""Lookups get into a real store, also one that first takes nothing, and twice is as once."""

from contextlib import closing
from pathlib import Path

import pytest

from historian.connect import connect
from historian.lookups import GRAINS
from historian.point import Query
from historian.schema import GRAIN_SOURCE, SITE_TIMEZONE, Measurement
from ingest.lookup_writer import write_lookups
from shopfloor.errors import Backpressure
from shopfloor.plant_file import load
from tests.filled_plant import PLANT_FILE


async def test_lookups_are_written_when_the_store_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant = load(PLANT_FILE)
    with closing(connect(str(tmp_path))) as historian:
        write, refusals = historian.write, [Backpressure("away", 0.0)] * 2
        tried = []

        def busy_first(points: list) -> object:
            tried.append(len(points))
            if refusals:
                raise refusals.pop()
            return write(points)

        monkeypatch.setattr(historian, "write", busy_first)
        await write_lookups(historian, plant)
        assert len(tried) == 3
        await write_lookups(historian, plant)
        grains = list(historian.read(Query(Measurement.GRAINS)))
        assert [(each.time, each.fields[GRAIN_SOURCE]) for each in grains] == [
            (longest, grain.value) for longest, grain, _ in GRAINS
        ]
        (site,) = historian.read(Query(Measurement.SITES))
        assert (site.tags["site"], site.fields[SITE_TIMEZONE]) == ("ceper", "Asia/Jakarta")
