"""What is told of messages that the broker takes and nobody confirms: on a real credit window."""

from edge_agent.outbox import StoredSample
from edge_agent.unconfirmed import SENDS, STRIKES, Unconfirmed
from edge_agent.window import CreditWindow, Flight
from messaging.receipt import Receipt
from shopfloor.clock import Trust
from shopfloor.sample import Sample

HOUR_MS = 3_600_000


class Wire:
    """A broker that takes everything, and receipts when they are wanted."""

    def __init__(self):
        self.window, self.unconfirmed = CreditWindow(), Unconfirmed("edge-1")
        self.now = 0
        self.seq = 0

    def flight(self, unit):
        self.seq += 1
        sample = Sample(unit=unit, time=self.seq, values={"good": 1})
        return Flight([StoredSample(self.seq, sample, Trust.SYNCED, 10)], backlog=False)

    def send(self, flight):
        self.now += HOUR_MS
        self.window.send(flight, self.now)
        self.unconfirmed.taken(flight.samples[0].sample.unit, flight)

    def confirm(self, flight):
        seq = flight.samples[0].seq
        self.window.settle(Receipt("box", -1, ((seq, seq),)))
        self.unconfirmed.confirmed()


def lines(caplog):
    return [record.message for record in caplog.records]


def test_when_nothing_is_confirmed_it_is_said_once_however_many_units_and_resends_there_are(caplog):
    wire = Wire()
    flights = [wire.flight(unit) for unit in ("s/a/l/u1", "s/a/l/u2", "s/a/l/u3")]
    for _ in range(SENDS - 1):
        for flight in flights:
            wire.send(flight)
    assert lines(caplog) == []
    for _ in range(20):
        for flight in flights:
            wire.send(flight)
    [line] = lines(caplog)
    assert "is the ingest service up" in line
    wire.confirm(flights[0])
    wire.confirm(flights[1])
    assert lines(caplog)[1:] == ["edge-1: messages are confirmed again"]


def test_a_unit_that_alone_is_never_confirmed_is_named_once(caplog):
    wire = Wire()
    refused = wire.flight("s/a/l/refused")
    wire.send(refused)
    for _ in range(STRIKES + 5):
        good = wire.flight("s/a/l/good")
        wire.send(good)
        wire.confirm(good)
        wire.send(refused)
    [line] = lines(caplog)
    assert "s/a/l/refused" in line
    assert "one plant file" in line


def test_resends_that_are_confirmed_in_the_end_are_not_worth_a_line(caplog):
    wire = Wire()
    for _ in range(10):
        flight = wire.flight("s/a/l/u1")
        for _ in range(SENDS - 1):
            wire.send(flight)
        wire.confirm(flight)
    assert lines(caplog) == []
