"""The script of one machine: what it does at every millisecond, written from a seed. Head of *registers -> samples*.

Continuous time, not on any scan grid. The same (seed, unit, epoch) writes the same script in every process, however
far and in however many steps it is written. All machine time passes only while somebody attends the machine: orders,
setups, cycles and repairs pause in a break and go on after it.

Rules that keep the script measurable: trial pieces and the start of an order lie well inside a setup; after each
interruption a machine runs (or goes on with its setup) for some scans, and no piece falls out before the first of them.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from shopfloor.instant import SECOND, Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import NO_PRODUCT, WorkUnit
from simulators.attendance import always, openings
from simulators.hazards import Hazard, hazards_of, lognormal_ms
from simulators.parameters import codes_of, parameters_of, planned_run_times
from simulators.power import PowerTrace, Stretch

BEFORE_ORDER_MS = 20 * SECOND
"""Setup before the new order is known to the machine."""
BEFORE_TRIAL_MS = 20 * SECOND
"""From the order to the first trial piece."""
AFTER_TRIAL_MS = 60 * SECOND
"""From the last trial piece to the end of the setup, at least."""
SHORTEST_SETUP_MS = 180 * SECOND
ALARMS = 9
"""Alarm codes 1..9 tell breakdowns apart; 0 is no alarm."""
POWER_SHARE = {
    TimeCategory.RUNNING: 1.0,
    TimeCategory.SETUP: 0.45,
    TimeCategory.STARVED: 0.3,
    TimeCategory.BLOCKED: 0.3,
    TimeCategory.UNPLANNED_STOP: 0.2,
    TimeCategory.MICRO_STOP: 0.35,
}
"""Power by what the machine does, as a share of running; 0.08 for the rest."""


class Outcome(StrEnum):
    """What became of a piece."""

    GOOD = "good"
    SCRAP = "scrap"
    REWORK = "rework"


@dataclass(frozen=True, slots=True)
class Segment:
    """[start, end) of one state. A micro-stop looks to the machine like any other stop: ``unplanned_stop``."""

    start: Instant
    end: Instant
    category: TimeCategory
    alarm: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece that fell out at ``time``: readings from ``time`` on count it."""

    time: Instant
    product: str
    outcome: Outcome
    trial: bool
    cycle_ms: int


@dataclass(frozen=True, slots=True)
class Order:
    """From ``start`` on the machine is set for ``product``."""

    start: Instant
    product: str
    quantity: int


def shown(category: TimeCategory) -> TimeCategory:
    """What the machine's own state tells of a category: a micro-stop looks like any other stop."""
    return TimeCategory.UNPLANNED_STOP if category is TimeCategory.MICRO_STOP else category


class Script:
    """One machine's life from ``epoch`` on, written as far as anybody has asked. Also its electric load."""

    def __init__(self, unit: WorkUnit, seed: int, epoch: Instant) -> None:
        self.unit = unit
        self.epoch = epoch
        self.parameters = parameters_of(unit)
        self.codes = codes_of(unit, epoch)
        self.segments: list[Segment] = []
        self.pieces: list[Piece] = []
        self.orders: list[Order] = []
        self.starts: list[Instant] = []
        """Start of each segment."""
        self.piece_times: list[Instant] = []
        self.tallies: dict[Outcome, list[int]] = {outcome: [0] for outcome in Outcome}
        """Pieces of each outcome among the first n, by n."""
        self._power = PowerTrace()
        self._now = epoch
        self._rng = Random(f"{seed}/{unit.path}/{epoch}")  # noqa: S311 - a script, not a secret
        self._settle_ms = 3 * unit.device.scan_ms
        """Running after an interruption, at least; the reader sees every spell of running."""
        self._restart_ms = 3 * unit.device.scan_ms // 2
        """No piece sooner after a start."""
        self._openings = self._attended(Random(f"{seed}/{unit.path}/{epoch}/attendance"))  # noqa: S311
        self._closes = epoch
        self._load_factor = 1.0
        self._hazards = [
            hazard
            for hazard in hazards_of(unit, self.parameters, self._rng, epoch)
            if self.codes.knows(shown(hazard.category))
        ]
        self._story = self._tell()

    def until(self, t: Instant) -> None:
        """Write on, until everything at or before ``t`` stands."""
        while self._now <= t:
            next(self._story)

    def segment_at(self, t: Instant) -> Segment:
        """What the machine does at ``t``; before the epoch, what it did first."""
        self.until(t)
        return self.segments[max(bisect_right(self.starts, t) - 1, 0)]

    def pieces_at(self, t: Instant) -> int:
        """Pieces that have fallen out by ``t``, itself included."""
        self.until(t)
        return bisect_right(self.piece_times, t)

    def order_at(self, t: Instant) -> Order:
        """The order on the machine at ``t``."""
        self.until(t)
        return self.orders[max(bisect_right(self.orders, t, key=lambda order: order.start) - 1, 0)]

    def energy_at(self, t: Instant) -> int:
        """Energy since the epoch, W ms."""
        self.until(t)
        return self._power.energy_at(t)

    def watts_at(self, t: Instant) -> int:
        """Power at ``t``, W."""
        self.until(t)
        return self._power.watts_at(t)

    def stretches(self, start: Instant, end: Instant) -> Iterator[Stretch]:
        """Stretches of constant power in [start, end)."""
        self.until(end)
        return self._power.stretches(start, end)

    def _attended(self, rng: Random) -> Iterator[tuple[Instant, Instant]]:
        if self.parameters.runs_outside_calendar:
            return always(self.epoch)
        return openings(self.unit, self.epoch, rng, least_ms=2 * SECOND + 3 * self.unit.device.scan_ms)

    def _tell(self) -> Iterator[None]:
        self._begin_order()
        while True:
            yield from self._produce(self.orders[-1])
            if self.codes.knows(TimeCategory.NO_ORDER) and self._rng.random() < self.parameters.no_order_rate:
                yield from self._spend(TimeCategory.NO_ORDER, lognormal_ms(self._rng, self.parameters.no_order_s, 0.5))
            yield from self._change_over()

    def _begin_order(self) -> None:
        product = self._next_product()
        planned = self.parameters.order_s / self._planned_cycle_s(product)
        quantity = max(3, round(planned * self._rng.uniform(0.5, 1.5)))
        self.orders.append(Order(self._now, product, quantity))
        self._load_factor = self._rng.uniform(0.85, 1.1)

    def _next_product(self) -> str:
        products = sorted(self.codes.products) or [NO_PRODUCT]
        others = [product for product in products if not self.orders or product != self.orders[-1].product]
        return self._rng.choice(others or products)

    def _planned_cycle_s(self, product: str) -> float:
        return planned_run_times(self.unit, self._now).get(product, self.parameters.cycle_s)

    def _produce(self, order: Order) -> Iterator[None]:
        for _ in range(order.quantity):
            yield from self._make(order.product)

    def _make(self, product: str) -> Iterator[None]:
        """Run one cycle; interruptions pause it."""
        cycle = left = self._cycle_ms(product)
        while left > 0:
            yield from self._rest()
            if self._resumes():
                left = max(left, self._restart_ms)
            left -= self._run(left)
            if left == 0:
                self._add_piece(product, trial=False, cycle_ms=cycle)
            if hazard := next((hazard for hazard in self._hazards if hazard.left_ms == 0), None):
                yield from self._interrupt(hazard)
            yield

    def _run(self, left_ms: int) -> int:
        """Run until the cycle ends, people leave or something interrupts; returns for how long, ms."""
        step = min(left_ms, self._closes - self._now, *(hazard.left_ms for hazard in self._hazards))
        self._emit(TimeCategory.RUNNING, step)
        for hazard in self._hazards:
            hazard.left_ms -= step
        return step

    def _resumes(self) -> bool:
        """Whether running is about to begin anew."""
        return not self.segments or self.segments[-1].category is not TimeCategory.RUNNING

    def _cycle_ms(self, product: str) -> int:
        factor = 1.0 + self._rng.uniform(0.0, 2 * self.parameters.speed_loss)
        if self._rng.random() < self.parameters.slow_cycle_rate:
            factor *= self.parameters.slow_cycle_factor
        return max(1, round(self._planned_cycle_s(product) * 1000 * factor))

    def _interrupt(self, hazard: Hazard) -> Iterator[None]:
        alarm = self._rng.randrange(1, ALARMS + 1) if hazard.alarms else 0
        yield from self._spend(hazard.category, hazard.draw_length(), alarm)
        hazard.left_ms = hazard.draw_gap()
        for each in self._hazards:
            each.left_ms = max(each.left_ms, self._settle_ms)

    def _change_over(self) -> Iterator[None]:
        """Set up for the next order; a machine that knows no setup only stands still."""
        can_tell = self.codes.knows(TimeCategory.SETUP) and self.parameters.setup_s > 0
        category = TimeCategory.SETUP if can_tell else self.codes.idle
        length = max(SHORTEST_SETUP_MS, round(self.parameters.setup_s * 1000 * self._rng.uniform(0.7, 1.3)))
        trials = round(self.parameters.trial_pieces) if can_tell else 0
        yield from self._spend(category, BEFORE_ORDER_MS)
        self._begin_order()
        yield from self._spend(category, BEFORE_TRIAL_MS)
        pitch = (length - BEFORE_ORDER_MS - BEFORE_TRIAL_MS - AFTER_TRIAL_MS) // (trials + 1)
        for _ in range(trials):
            yield from self._spend(category, pitch, least_ms=self._restart_ms)
            self._add_piece(self.orders[-1].product, trial=True, cycle_ms=pitch)
        yield from self._spend(category, pitch + AFTER_TRIAL_MS)

    def _add_piece(self, product: str, *, trial: bool, cycle_ms: int) -> None:
        outcome = self._outcome(trial=trial)
        self.pieces.append(Piece(self._now, product, outcome, trial, cycle_ms))
        self.piece_times.append(self._now)
        for each, tally in self.tallies.items():
            tally.append(tally[-1] + (each is outcome))

    def _outcome(self, *, trial: bool) -> Outcome:
        draw = self._rng.random()
        if trial or draw < self.parameters.scrap_rate:
            return Outcome.SCRAP
        return Outcome.REWORK if draw < self.parameters.scrap_rate + self.parameters.rework_rate else Outcome.GOOD

    def _spend(self, category: TimeCategory, length_ms: int, alarm: int = 0, *, least_ms: int = 0) -> Iterator[None]:
        """Stay in one state for so much attended time; for at least ``least_ms`` after each return to it."""
        while length_ms > 0:
            yield from self._rest()
            if not self.segments or self.segments[-1].category is not category:
                length_ms = max(length_ms, least_ms)
            step = min(length_ms, self._closes - self._now)
            self._emit(category, step, alarm)
            length_ms -= step
            yield

    def _rest(self) -> Iterator[None]:
        """Wait until somebody attends the machine."""
        while self._now >= self._closes:
            opens, self._closes = next(self._openings)
            if opens > self._now:
                self._emit(self.codes.idle, opens - self._now)
                yield

    def _emit(self, category: TimeCategory, length_ms: int, alarm: int = 0) -> None:
        start, self._now = self._now, self._now + length_ms
        self._power.append(start, self._watts(category))
        state = shown(category)
        last = self.segments[-1] if self.segments else None
        if last and (last.category, last.alarm) == (state, alarm):
            self.segments[-1] = Segment(last.start, self._now, state, alarm)
            return
        self.segments.append(Segment(start, self._now, state, alarm))
        self.starts.append(start)

    def _watts(self, category: TimeCategory) -> int:
        share = POWER_SHARE.get(category, 0.08)
        factor = self._load_factor if category is TimeCategory.RUNNING else 1.0
        return round(self.parameters.power_kw * 1000 * share * factor)
