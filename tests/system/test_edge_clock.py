"""A real ``shopfloor edge`` whose clock is set by faketime, against real devices, a real broker and a real store."""

import asyncio
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from cli.plants import load_plant
from cli.unit_plans import unit_plans
from devices.library import load as load_template
from edge_agent.outbox import Outbox, OutboxCounts
from historian.connect import connect
from historian.historian import Historian
from historian.records import point_sample, unit_query
from historian.schema import Measurement
from ingest.dead_letters import DeadLetters
from ingest.mapping import Refusal
from ingest.service import IngestService
from messaging.broker import RunningBroker, start_broker
from messaging.rights import INGEST
from shopfloor.clock import SystemClock, Trust
from shopfloor.plant import Plant
from shopfloor.sample import Sample
from simulators.factory import Factory
from simulators.journal import Entry
from tests import faketime
from tests.soak.saboteur import launcher

ROOT = Path(__file__).parents[2]
AGENT = "edge-ceper-1"
PATIENCE_S = 60.0
SCAN_MS = 1_000
ROUNDING_MS = 2
"""Wall and steady time are each cut to whole milliseconds."""
ANSWERED_MS = 10_000
"""A busy machine lets a device answer late; a reading that a clock has moved is off by an hour."""
HOUR_S = 3_600


def preloaded() -> Path:
    """The library of Debian's package. Without it a test is skipped, in CI it fails."""
    found = faketime.library()
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("faketime is not installed")
    return found


class Plantlet:
    """Devices, broker, ingest and store in this process; the agent in its own, with a clock that can be set."""

    def __init__(self, folder: Path, plant: Plant, factory: Factory, broker: RunningBroker, store: Historian) -> None:
        self.folder, self.plant, self.factory, self.store = folder, plant, factory, store
        self._access = broker.access_for(AGENT)
        self._clock = folder / "clock"
        self._agent: asyncio.subprocess.Process | None = None
        self.ends = self.kills = 0

    def set_clock(self, seconds: int) -> None:
        """The agent's wall clock is so far from the truth from now on."""
        faketime.set_clock(self._clock, seconds)

    async def start_agent(self) -> None:
        endpoints = ["--endpoints", str(self.folder / "endpoints.json")]
        command = ["edge", str(self.folder / "plant.yaml"), "--agent", AGENT, *endpoints]
        clock = faketime.environment(preloaded(), self._clock)
        broker = {
            "SHOPFLOOR_MQTT_URL": self._access.url,
            "SHOPFLOOR_MQTT_USERNAME": self._access.username or "",
            "SHOPFLOOR_MQTT_PASSWORD": self._access.password or "",
            "SHOPFLOOR_DATA": str(self.folder),
        }
        with (self.folder / "edge.log").open("ab") as log:
            self._agent = await asyncio.create_subprocess_exec(
                *launcher("sleep-by-select"),
                *command,
                cwd=ROOT,
                env={**os.environ, **clock, **broker},
                stdout=log,
                stderr=log,
            )

    async def end_agent(self, how: signal.Signals) -> None:
        assert self._agent is not None
        self._agent.send_signal(how)
        code = await self._agent.wait()
        self.ends += 1
        self.kills += how is signal.SIGKILL
        assert code == (-signal.SIGKILL if how is signal.SIGKILL else 0), self.log()

    def log(self) -> str:
        return (self.folder / "edge.log").read_text("utf-8", "replace")[-3_000:]

    async def until(self, holds: Callable[[], bool]) -> None:
        assert self._agent is not None
        patience = time.monotonic() + PATIENCE_S
        while not holds():
            assert self._agent.returncode is None, self.log()
            assert time.monotonic() < patience, f"not within {PATIENCE_S:.0f} s; the agent's last lines:\n{self.log()}"
            await asyncio.sleep(0.05)

    async def read_more(self, cycles: int) -> None:
        """Return when every device was read so often again."""
        before = {path: self.factory.journal.count(path) for path in self.plant.units}
        await self.until(lambda: all(self.factory.journal.count(path) >= n + cycles for path, n in before.items()))

    async def stored_until_now(self) -> None:
        """Return when a reading that comes from now on is stored."""
        now = SystemClock().now()
        await self.until(lambda: all(samples and samples[-1].time > now for samples in self.stored().values()))

    def stored(self) -> dict[str, list[Sample]]:
        """Unit -> its samples in the store, in order of time."""
        return {
            path: [
                point_sample(p) for p in self.store.read(unit_query(Measurement.SAMPLES, self.plant.enterprise, path))
            ]
            for path in self.plant.units
        }

    def left(self) -> tuple[list[Sample], OutboxCounts]:
        """What the agent, that has ended, left in its outbox."""
        box = Outbox(self.folder / f"outbox-{AGENT}.db", max_samples=1_000_000)
        pending, counts = box.pending(limit=1_000_000), box.counts()
        samples = [stored.sample for stored in pending if stored.trust is not Trust.UNSYNCED]
        box.close()
        return samples, counts

    def rejected(self) -> Counter[str]:
        letters = DeadLetters(self.folder / "dead_letters.db")
        reasons = Counter(letters.by_reason())
        letters.close()
        return reasons


@asynccontextmanager
async def plantlet(folder: Path, *, agent: str = "") -> AsyncIterator[Plantlet]:
    text = (ROOT / "plants" / "ceper" / "plant.yaml").read_text("utf-8")
    for scan in ("10s", "5s", "2s"):
        text = text.replace(f"scan: {scan}", f"scan: {SCAN_MS}ms")
    text = text.replace('{units: ["ceper/*"]}', f'{{units: ["ceper/*"]{agent}}}')
    (folder / "plant.yaml").write_text(text, "utf-8")
    plant, clock = load_plant(folder / "plant.yaml"), SystemClock()
    factory = Factory(
        plant, seed=1, epoch=clock.now(), clock=clock, journal_path=folder / "journal.jsonl", templates=load_template
    )
    endpoints = await factory.start()
    table = {f"{host}:{port}": f"{to_host}:{to_port}" for (host, port), (to_host, to_port) in endpoints.items()}
    (folder / "endpoints.json").write_bytes(msgspec.json.encode(table))
    broker = await start_broker(folder / "broker", [AGENT])
    store = connect(str(folder / "historian"))
    ingest = IngestService(
        plant,
        unit_plans(plant),
        store,
        access=broker.access_for(INGEST),
        dead_letters=folder / "dead_letters.db",
        clock=clock,
    )
    running = asyncio.create_task(ingest.run(), name="ingest")
    works = Plantlet(folder, plant, factory, broker, store)
    works.set_clock(0)
    try:
        yield works
    finally:
        if works._agent is not None and works._agent.returncode is None:
            works._agent.kill()
            await works._agent.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await broker.stop()
        await factory.stop()
        store.close()


def check_against_the_journal(works: Plantlet, *, rejected: int = 0) -> None:
    """Each stored reading is the journal's, at its true time, once; none is missing but where the agent ended."""
    left, counts = works.left()
    assert counts.appended == counts.confirmed + counts.in_outbox + counts.evicted
    assert counts.evicted == 0
    entries: dict[str, dict[int, Entry]] = defaultdict(dict)
    for entry in works.factory.journal.entries():
        entries[entry.unit][entry.n] = entry
    missing = 0
    for unit, stored in works.stored().items():
        samples = {sample.time: sample for sample in (*stored, *(one for one in left if one.unit == unit))}
        read = [sample for sample in samples.values() if "x_reading" in sample.values]
        numbers = Counter(int(sample.values["x_reading"]) for sample in read)
        assert not numbers or max(numbers.values()) == 1, unit
        for sample in read:
            late = entries[unit][int(sample.values["x_reading"])].t - sample.time
            assert -ROUNDING_MS <= late <= ANSWERED_MS, (unit, sample.time, late)
        missing += len(entries[unit]) - len(numbers) - (len(samples) - len(read))
    assert missing <= rejected + works.ends * len(works.plant.units)  # answered, and nobody there to take it
    assert counts.polled - counts.appended <= works.kills * len(works.plant.units)


async def test_no_reading_is_lost_or_moved_when_the_clock_is_set_and_set_back_and_the_agent_killed_between(
    tmp_path: Path,
) -> None:
    preloaded()
    async with plantlet(tmp_path) as works:
        await works.start_agent()
        await works.stored_until_now()
        works.set_clock(HOUR_S)
        await works.read_more(4)
        works.set_clock(-HOUR_S)
        await works.read_more(4)
        held = {path: samples[-1].time for path, samples in works.stored().items()}
        await works.end_agent(signal.SIGKILL)
        await works.start_agent()
        await works.read_more(4)
        assert {path: samples[-1].time for path, samples in works.stored().items()} == held
        works.set_clock(0)
        await works.stored_until_now()
        await works.end_agent(signal.SIGTERM)
        assert works.rejected() == {}
        check_against_the_journal(works)


async def test_a_machine_that_starts_in_1970_sends_nothing_before_it_knows_the_time(tmp_path: Path) -> None:
    preloaded()
    async with plantlet(tmp_path, agent=", clock_settle: 2s") as works:
        works.set_clock(-SystemClock().now() // 1_000 + 86_400)
        await works.start_agent()
        await works.read_more(4)
        assert sum(map(len, works.stored().values())) == 0
        works.set_clock(0)
        await works.stored_until_now()
        await works.end_agent(signal.SIGTERM)
        assert works.rejected() == {}
        check_against_the_journal(works)


async def test_a_wrong_time_that_is_believed_costs_dead_letters_and_never_history(tmp_path: Path) -> None:
    preloaded()
    async with plantlet(tmp_path, agent=", clock_settle: 2s") as works:
        await works.start_agent()
        await works.stored_until_now()
        works.set_clock(-HOUR_S)
        await works.until(lambda: works.rejected()[Refusal.CLOCK_UNSYNCED] >= 12)
        works.set_clock(0)
        await works.stored_until_now()
        await works.end_agent(signal.SIGTERM)
        rejected = works.rejected()
        assert set(rejected) == {Refusal.CLOCK_UNSYNCED}
        check_against_the_journal(works, rejected=rejected.total())
        _, counts = works.left()
        assert counts.quarantined == rejected.total()
