"""Dead letters brought in after all: through the real judge, into a real store, beside a running facts engine."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.unit_plans import unit_plans
from historian.embedded import EmbeddedHistorian
from historian.point import Query
from historian.records import Dirty, dirty_point, facts_of, point_dirty, sample_point, unit_query
from historian.schema import Measurement, Origin
from ingest.dead_letters import ALL, DeadLetters, Wanted
from ingest.facts_engine import FactsEngine
from ingest.ledger import stored_samples
from ingest.letter_replay import Dating, Kept, LetterReplay, ReplayCounts
from ingest.mapping import DeadLetter, Judge, Refusal
from messaging.client import Message
from messaging.payload import Fault
from shopfloor.clock import CatchUpClock
from shopfloor.instant import HOUR, SECOND
from shopfloor.plant import Plant
from shopfloor.sample import Sample
from tests.unit.ingest.conftest import AGENT, NOON, UNIT, Say

ROOT = Path(__file__).parents[3]
LATER = NOON + HOUR


@pytest.fixture
def without(plant: Plant) -> Plant:
    """The plant file before the unit was added to it."""
    mine = replace(plant.agents[AGENT], units=tuple(unit for unit in plant.agents[AGENT].units if unit != UNIT))
    return replace(plant, agents={**plant.agents, AGENT: mine})


@pytest.fixture
def bury(dead_letters: DeadLetters) -> Any:
    def bury(plant: Plant, *messages: Message, now: int = NOON) -> None:
        judge = Judge(plant)
        for message in messages:
            dead_letters.add(judge.judge(message.topic, message.payload, now).letters)

    return bury


@pytest.fixture
def run(dead_letters: DeadLetters, historian: EmbeddedHistorian, plant: Plant) -> Any:
    def run(wanted: Wanted = ALL, **options: Any) -> ReplayCounts:
        return LetterReplay(dead_letters, historian, plant, LATER, **options).run(wanted)

    return run


def times(historian: EmbeddedHistorian) -> list[int]:
    return [point.time for point in historian.read(unit_query(Measurement.SAMPLES, "logam-jaya", UNIT))]


def test_what_the_corrected_plant_file_allows_is_stored_and_no_letter_any_more(
    run: Any, bury: Any, dead_letters: DeadLetters, historian: EmbeddedHistorian, without: Plant, plant: Plant, say: Say
) -> None:
    bury(without, say(1, 2, 3), say(7, unit="ceper/machining/line-1/cnc-99"))
    assert dead_letters.by_reason() == {Refusal.NOT_OWNER: 3, Refusal.UNKNOWN_UNIT: 1}
    counts = run()
    assert (counts.letters, counts.stored, counts.kept) == (4, 3, {Refusal.UNKNOWN_UNIT: 1})
    assert times(historian) == [NOON + 1_000, NOON + 2_000, NOON + 3_000]
    assert stored_samples(historian, plant, AGENT) + dead_letters.rejected(AGENT, "5f0c") == 4
    assert (run().stored, len(times(historian))) == (0, 3)


def test_a_sample_of_the_future_is_stored_once_it_is_past(run: Any, bury: Any, plant: Plant, say: Say) -> None:
    bury(plant, say({"seq": 1, "t": LATER - 5, "v": {"state": 1}}, {"seq": 2, "t": LATER + HOUR, "v": {"state": 1}}))
    counts = run()
    assert (counts.stored, counts.kept) == (1, {Refusal.FUTURE_TIME: 1})


def test_the_ledger_is_told_with_the_samples_dirty_interval(
    run: Any, bury: Any, historian: EmbeddedHistorian, without: Plant, say: Say
) -> None:
    bury(without, say(1, 2))
    run()
    [dirty] = [point_dirty(point) for point in historian.read(Query(Measurement.DIRTY))]
    assert (dirty.unit, dirty.start, dirty.end, dirty.done) == (UNIT, NOON + 1_000, NOON + 2_001, False)
    assert dirty.origin is Origin.REPLAY
    [told] = historian.read(Query(Measurement.LEDGER))
    assert (told.tags["agent"], told.tags["outbox"]) == (AGENT, "5f0c")
    assert told.fields == {"dead_not_owner": 0.0, "rejected": 0.0}


def test_a_rehearsal_counts_the_same_and_writes_nothing(
    run: Any, bury: Any, dead_letters: DeadLetters, historian: EmbeddedHistorian, without: Plant, say: Say
) -> None:
    bury(without, say(1, 2), say(1, 9, outbox="a11e"))
    rehearsed = run(dry_run=True)
    assert (times(historian), dead_letters.count(), historian.read(Query(Measurement.LEDGER))) == ([], 4, [])
    assert rehearsed == run()
    assert (rehearsed.stored, rehearsed.kept) == (3, {Kept.TIME_TAKEN: 1})


def test_history_is_never_overwritten(
    run: Any, bury: Any, dead_letters: DeadLetters, historian: EmbeddedHistorian, without: Plant, say: Say
) -> None:
    there = Sample(unit=UNIT, time=NOON + 1_000, values={"state": 5})
    historian.write([sample_point("logam-jaya", there)])
    bury(without, say(1, 2))
    counts = run()
    assert (counts.stored, counts.kept) == (1, {Kept.TIME_TAKEN: 1})
    found = historian.read(unit_query(Measurement.SAMPLES, "logam-jaya", UNIT))
    assert [point.fields["state"] for point in found] == [5.0, 1.0]
    assert dead_letters.rejected(AGENT) == 1


def test_the_same_sample_under_another_number_is_no_replay_of_it(
    run: Any, bury: Any, dead_letters: DeadLetters, historian: EmbeddedHistorian, without: Plant, say: Say
) -> None:
    bury(without, say(1))
    run()
    bury(without, say(1, outbox="a11e"))
    assert run().kept == {Kept.TIME_TAKEN: 1}
    assert dead_letters.rejected(AGENT) + len(times(historian)) == 2


def test_an_untrusted_clock_needs_a_word_whatever_the_letters_reason(
    run: Any, bury: Any, historian: EmbeddedHistorian, plant: Plant, without: Plant, say: Say
) -> None:
    bury(plant, say(1, clock="unsynced"))
    bury(without, say(2, clock="unsynced"), say(3, clock="stepped"))
    counts = run()
    assert (counts.stored, counts.kept, times(historian)) == (1, {Refusal.CLOCK_UNSYNCED: 2}, [NOON + 3_000])
    assert run(dating=Dating(accept=True)).stored == 2
    assert times(historian) == [NOON + 1_000, NOON + 2_000, NOON + 3_000]


def test_letters_can_be_dated(run: Any, bury: Any, historian: EmbeddedHistorian, plant: Plant, say: Say) -> None:
    bury(plant, say(1, 5, clock="unsynced"))
    run(dating=Dating(accept=True, shift_ms=-HOUR))
    assert times(historian) == [NOON + 1_000 - HOUR, NOON + 5_000 - HOUR]


def test_a_letter_that_does_not_tell_the_clock_is_not_trusted(run: Any, dead_letters: DeadLetters, say: Say) -> None:
    sample = json.dumps({"seq": 1, "t": NOON, "v": {"state": 1}}).encode()
    topic = say(1).topic
    told = {"topic": topic, "payload": sample, "detail": "", "received": NOON, "agent": AGENT, "outbox": "5f0c"}
    dead_letters.add(
        [
            DeadLetter(seq=1, reason=Refusal.NOT_OWNER, **told),
            DeadLetter(seq=2, reason=Refusal.FUTURE_TIME, **{**told, "payload": sample.replace(b'q": 1', b'q": 2')}),
        ]
    )
    counts = run()
    assert (counts.stored, counts.kept) == (1, {Refusal.CLOCK_UNSYNCED: 1})


def test_what_is_cut_or_tells_no_sample_is_kept(run: Any, bury: Any, plant: Plant, say: Say) -> None:
    bury(plant, say({"seq": 1, "t": NOON, "v": {"x_text": "x" * 300_000}}), Message(say(1).topic, b"{"))
    counts = run()
    assert (counts.letters, counts.stored, counts.kept) == (1, 0, {Kept.CUT: 1})


def test_only_what_is_wanted_is_replayed(run: Any, bury: Any, without: Plant, say: Say) -> None:
    bury(without, say(1, 2, 3))
    assert run(Wanted(ids=[2])).stored == 1
    assert run(Wanted(reason=Fault.BAD_TIME)).letters == 0
    assert run(Wanted(agent=AGENT)).stored == 2


# ---------------------------------------------------------------- beside a running ingest


async def test_a_running_facts_engine_takes_up_what_a_replay_stored(
    bury: Any, run: Any, historian: EmbeddedHistorian, plant: Plant, without: Plant, say: Say
) -> None:
    """It holds the unit's newest samples in memory: those of the replay lie in between."""
    live = [
        Sample(unit=UNIT, time=NOON + second * SECOND, values={"state": 1, "good": second})
        for second in range(1_200)
        if not 300 < second < 600
    ]
    clock = CatchUpClock(LATER)
    engine = FactsEngine(historian, {UNIT: unit_plans(plant)[UNIT]}, plant.enterprise, clock)
    historian.write([sample_point(plant.enterprise, sample) for sample in live])
    first = Dirty(UNIT, NOON, NOON, NOON + 1_200 * SECOND)
    historian.write([dirty_point(plant.enterprise, first)])
    await engine.resume()
    running = asyncio.create_task(engine.run())
    try:
        await asyncio.wait_for(engine.settle(), 60)
        bury(without, *(say(*range(low, low + 60)) for low in range(301, 600, 60)))
        before = _facts(historian)
        counts = await asyncio.to_thread(run)
        await asyncio.wait_for(engine.settle(), 60)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert (counts.stored, counts.kept) == (299, {Kept.TIME_TAKEN: 1})  # the last is there already
    after = _facts(historian)
    assert after != before
    assert after == engine.rederive_fresh(UNIT, NOON - NOON % HOUR, NOON - NOON % HOUR + 2 * HOUR)
    assert [point_dirty(point).done for point in historian.read(Query(Measurement.DIRTY))] == [True, True]


def _facts(historian: EmbeddedHistorian) -> Sequence[Any]:
    return facts_of(historian.read(unit_query(Measurement.FACTS, "logam-jaya", UNIT)))


KILLED = """
import os, signal, sys
from ingest.dead_letters import DeadLetters
from cli.main import main
def withdraw(self, samples):
    os.kill(os.getpid(), signal.SIGKILL)  # the samples are stored, their letters are still there
DeadLetters.withdraw = withdraw
sys.exit(main(sys.argv[1:]))
"""


def test_a_replay_that_was_killed_is_finished_by_the_next(
    bury: Any,
    run: Any,
    dead_letters: DeadLetters,
    historian: EmbeddedHistorian,
    without: Plant,
    say: Say,
    tmp_path: Path,
) -> None:
    bury(without, say(1, 2, 3))
    (tmp_path / "dead_letters.db").symlink_to(tmp_path / "dead_letters.sqlite")
    arguments = ["deadletters", "replay", str(ROOT / "plants" / "ceper" / "plant.yaml"), "--all"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        cwd=ROOT,
        env={"SHOPFLOOR_DATA": str(tmp_path), "SHOPFLOOR_HISTORIAN": str(tmp_path / "historian"), "PATH": "/usr/bin"},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert (len(times(historian)), dead_letters.count()) == (3, 3)
    counts = run()
    assert (counts.stored, counts.present, counts.kept) == (3, 3, {})
    assert (len(times(historian)), dead_letters.count()) == (3, 0)
    assert {point_dirty(point).start for point in historian.read(Query(Measurement.DIRTY))} == {NOON + 1_000}
