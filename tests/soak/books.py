"""The books at rest: outboxes, wire and historian beside the simulators' journal."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.outbox import Outbox
from historian.historian import Historian
from historian.records import point_sample, unit_query
from historian.schema import Measurement
from shopfloor.instant import Instant
from shopfloor.plant import Plant
from shopfloor.sample import Sample
from simulators.journal import Entry
from tests.soak.wire import HeardOutbox

READING = "x_reading"
ANSWER_MS = 3_000
"""A device has answered at most this long after its poll began: behind a gateway it waits for its neighbour."""
EARLY_MS = 20
"""The simulators' clock may be so much behind the agent's: both are the machine's, read one after the other."""
SHOWN = 20
Waited = Callable[[str, Instant, Instant], float]


@dataclass(slots=True)
class Committed:
    """One outbox file, as it was left."""

    outbox: str
    agent: str
    appended: int
    confirmed: int
    in_outbox: int
    evicted: int
    quarantined: int
    last_seq: int


@dataclass(slots=True)
class Books:
    """What the comparison has found."""

    polled: int = 0
    appended: int = 0
    stored: int = 0
    unanswered: int = 0
    """Stored samples of polls that no device answered."""
    undelivered: int = 0
    """Journaled readings whose answer did not arrive: the poll is a BAD sample."""
    unpersisted: int = 0
    lost: list[str] = field(default_factory=list)
    lost_of: Counter[str] = field(default_factory=Counter)
    """Agent -> how many of its samples are lost."""
    phantom: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What was not settled at rest."""
    readings: dict[str, list[tuple[Instant, Entry | None]]] = field(default_factory=dict)
    """Unit -> its stored samples in order: source time, and the journal's entry; None for a BAD one."""


def outboxes(agent: str, files: Iterable[Path]) -> list[Committed]:
    """The ledgers of an agent's outbox files; nobody else may have them open."""
    found = []
    for file in files:
        if file.suffix != ".db":
            continue
        outbox = Outbox(file, max_samples=10**9)
        counts = outbox.counts()
        found.append(
            Committed(
                outbox.outbox_id,
                agent,
                counts.appended,
                counts.confirmed,
                counts.in_outbox,
                counts.evicted,
                counts.quarantined,
                outbox.last_seq,
            )
        )
        outbox.close()
    return found


def stored_samples(historian: Historian, plant: Plant) -> dict[str, list[Sample]]:
    """Every sample of every unit, in order of time."""
    return {
        path: [point_sample(point) for point in historian.read(unit_query(Measurement.SAMPLES, plant.enterprise, path))]
        for path in plant.units
    }


def compared(
    stored: Mapping[str, list[Sample]],
    journal: Iterable[Entry],
    heard: Mapping[str, HeardOutbox],
    committed: Iterable[Committed],
    answer_ms: int = ANSWER_MS,
    waited_s: Waited = lambda *_: 0.0,
) -> Books:
    """All books side by side. A device has answered at most ``answer_ms`` after its poll began, and as much later as
    those who poll and answer a unit waited for a processor between two instants (``waited_s``)."""
    books = Books()
    served: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in journal:
        served[entry.unit].append(entry)
    sent: defaultdict[str, set[Instant]] = defaultdict(set)
    for outbox in heard.values():
        for unit, time in outbox.samples.values():
            sent[unit].add(time)
        books.phantom += [f"seq {seq} of {outbox.agent} was sent as two samples" for seq in outbox.redated]
    for unit, samples in stored.items():
        _compare_unit(books, unit, samples, served[unit], sent[unit], answer_ms, waited_s)
    places = {unit: {sample.time for sample in samples} for unit, samples in stored.items()}
    for each in committed:
        books.appended += each.appended
        lost = list(_lost(each, heard.get(each.outbox), places))
        books.lost += lost
        books.lost_of[each.agent] += len(lost)
        if each.in_outbox or each.evicted or each.quarantined or not each.confirmed == each.appended == each.last_seq:
            books.left.append(str(each))
    books.stored = sum(len(samples) for samples in stored.values())
    books.polled = books.appended + books.unpersisted
    return books


def _lost(each: Committed, heard: HeardOutbox | None, places: Mapping[str, set[Instant]]) -> Iterator[str]:
    """Every seq that the file has ever given must be in the store, at the place that its message told."""
    for seq in range(1, each.last_seq + 1):
        place = heard.samples.get(seq) if heard else None
        if place is None:
            yield f"seq {seq} of {each.agent} was committed and never sent"
        elif place[1] not in places[place[0]]:
            yield f"seq {seq} of {each.agent}, {place[0]} at {place[1]}, was sent and is not stored"


def _compare_unit(
    books: Books,
    unit: str,
    samples: list[Sample],
    served: list[Entry],
    sent: set[Instant],
    answer_ms: int,
    waited_s: Waited,
) -> None:
    numbered = {entry.n: entry for entry in served}
    times = [entry.t for entry in served]
    taken: dict[int, Instant] = {}
    readings: list[tuple[Instant, Entry | None]] = []
    for sample in samples:
        if sample.time not in sent:
            books.phantom.append(f"{unit} at {sample.time} is stored, and no message carried it")
        if not sample.values:
            readings.append((sample.time, None))
            books.unanswered += 1
            continue
        entry = _entry_of(sample, numbered, served, times, taken, answer_ms)
        if entry is None:
            books.phantom.append(f"{unit} at {sample.time}: no device has answered {dict(sample.values)}")
            continue
        if entry.n in taken:
            books.phantom.append(f"{unit}: reading {entry.n} is stored at {taken[entry.n]} and at {sample.time}")
            continue
        taken[entry.n] = sample.time
        readings.append((sample.time, entry))
        late_ms = entry.t - sample.time
        if late_ms < -EARLY_MS or late_ms > answer_ms + 1000 * waited_s(unit, sample.time, entry.t):
            books.wrong.append(f"{unit}: reading {entry.n} was answered at {entry.t} and is stored at {sample.time}")
        if (difference := _difference(sample, entry)) is not None:
            books.wrong.append(f"{unit}: reading {entry.n}: {difference}")
    books.readings[unit] = readings
    _account_for_rest(books, samples, served, taken, sent, answer_ms)


def _entry_of(
    sample: Sample,
    numbered: Mapping[int, Entry],
    served: list[Entry],
    times: list[Instant],
    taken: Mapping[int, Instant],
    answer_ms: int,
) -> Entry | None:
    """The journal's entry by its number; of a device without one the first that was answered then and is not taken."""
    number = sample.values.get(READING)
    if number is not None:
        return numbered.get(int(float(number)))
    low, high = bisect_left(times, sample.time - EARLY_MS), bisect_right(times, sample.time + answer_ms)
    near = [entry for entry in served[low:high] if entry.n not in taken]
    return next((entry for entry in near if _difference(sample, entry) is None), near[0] if near else None)


def _difference(sample: Sample, entry: Entry) -> str | None:
    """What differs from what the device has answered."""
    for tag in sample.values.keys() | {tag for tag, value in entry.values.items() if value is not None}:
        was, now = entry.values.get(tag), sample.values.get(tag)
        if was is None or now is None or float(was) != float(now):
            return f"{tag} was {was}, stored {now}"
    return None


def _account_for_rest(
    books: Books,
    samples: list[Sample],
    served: list[Entry],
    taken: Mapping[int, Instant],
    sent: set[Instant],
    answer_ms: int,
) -> None:
    """Readings that are not stored: lost ones are named elsewhere; of others the agent was killed, or heard nothing.

    A BAD sample stands for the poll of at most one of them.
    """
    bad = sorted(sample.time for sample in samples if not sample.values)
    missing = sorted(time for time in sent if time not in {sample.time for sample in samples})
    for entry in sorted((entry for entry in served if entry.n not in taken), key=lambda entry: entry.t):
        if _take(missing, entry.t, answer_ms):
            continue
        if _take(bad, entry.t, answer_ms):
            books.undelivered += 1
        else:
            books.unpersisted += 1


def _take(times: list[Instant], answered: Instant, answer_ms: int) -> bool:
    """Remove the latest poll that may have had this answer; whether there is one."""
    index = bisect_right(times, answered + EARLY_MS) - 1
    if index < 0 or answered - times[index] > answer_ms:
        return False
    del times[index]
    return True
