"""What a machine itself tells of its time: by state and mode, or by a counter or gauge without them. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from kpi.plan import ENERGY, STATE, UnitPlan, dated_tiles
from kpi.timeline.inference import MEMORY_MS, Inferred, Pace, by_counter, by_gauge, carried
from kpi.timeline.tiles import Readings, Tile, clipped, heard, hold, overlay
from shopfloor.columns import SampleColumns
from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import CounterInference, Inference, StateMap

MODE = "unit_mode"


class Told(NamedTuple):
    """What is known of a moment from the unit alone."""

    machine: TimeCategory | None
    """None where nothing good is known, or the code has no meaning."""
    code: int | None
    """The state code behind it."""
    observed: bool
    """Whether a good value held."""
    inferred: bool
    """Whether it follows from a counter or a gauge."""


NOTHING = Told(None, None, False, False)


def tell(plan: UnitPlan, samples: SampleColumns, pace: Pace, start: Instant, end: Instant) -> list[Tile[Told]]:
    """Tile [start, end) with what the unit tells: its mode before its state, its state before what can be inferred.

    A transition (a code mapped to None) counts as the known state right before it, for ``MEMORY_MS``, then and at the
    start of knowledge as an unplanned stop. A code without a meaning is unknown: nothing is inferred over it.
    """
    unit = plan.unit
    if not unit.is_machine:
        return [
            Tile(low, high, Told(None, None, value is not None, False))
            for low, high, value in hold(_signs_of_life(plan, samples), unit.max_age_ms, start, end)
        ]
    states = _states(plan, samples, start, end) if unit.states else [Tile(start, end, NOTHING)]
    if unit.modes is None and unit.inference is None:
        return states
    modes = hold(heard(samples, MODE), unit.max_age_ms, start, end) if unit.modes else [Tile(start, end, None)]
    meanings = dated_tiles(unit.modes, start, end)
    return [
        Tile(low, high, _one(state.value, _meaning(meaning.value, mode.value), guess.value))
        for low, high, state, mode, meaning, guess in overlay(
            start, end, states, modes, meanings, _guesses(plan, samples, pace, start, end)
        )
    ]


def _one(told: Told, mode: TimeCategory | None, guess: TimeCategory | None) -> Told:
    if mode is not None:
        return told._replace(machine=mode, observed=True)
    if guess is None or told.observed:
        return told
    return Told(None if guess is TimeCategory.UNKNOWN else guess, None, True, guess is not TimeCategory.UNKNOWN)


def code_of(value: float | None) -> int | None:
    """A held number as a code; None for a fraction or nothing."""
    return int(value) if value is not None and value == int(value) else None


def _meaning(codes: Mapping[int, TimeCategory] | None, value: float | None) -> TimeCategory | None:
    code = code_of(value)
    return None if code is None or codes is None else codes.get(code)


Coded = tuple[Instant, Instant, Tile[float | None], Tile[StateMap | None]]


def _states(plan: UnitPlan, samples: SampleColumns, start: Instant, end: Instant) -> list[Tile[Told]]:
    since = start - MEMORY_MS
    codes = hold(heard(samples, STATE), plan.unit.max_age_ms, since, end)
    return _told_by_state(overlay(since, end, codes, dated_tiles(plan.unit.states, since, end)), start, end)


def _told_by_state(rows: Iterable[Coded], start: Instant, end: Instant) -> list[Tile[Told]]:
    """State codes by their map; transitions carry on what was right before them."""
    tiles: list[Tile[Told]] = []
    decided, until = None, start
    for low, high, held, codes in rows:
        code, observed = code_of(held.value), held.value is not None
        if codes.value is None:
            decided = None
            tiles.append(Tile(low, high, NOTHING))
        elif code is not None and _is_transition(code, codes.value):
            for since, upto, category in carried(low, high, decided, until, TimeCategory.UNPLANNED_STOP):
                tiles.append(Tile(since, upto, Told(category, code, observed, False)))
        else:
            decided, until = None if code is None else codes.value.get(code), high
            tiles.append(Tile(low, high, Told(decided, code, observed, False)))
    return clipped(tiles, start, end)


def _is_transition(code: int, codes: StateMap) -> bool:
    return code in codes and codes[code] is None


def _guesses(plan: UnitPlan, samples: SampleColumns, pace: Pace, start: Instant, end: Instant) -> list[Inferred]:
    tiles: list[Inferred] = []
    for low, high, rule in dated_tiles(plan.unit.inference, start, end):
        tiles += _guess(plan, samples, rule, pace, low, high)
    return tiles


def _guess(
    plan: UnitPlan, samples: SampleColumns, rule: Inference | None, pace: Pace, start: Instant, end: Instant
) -> list[Inferred]:
    if rule is None or rule.tag not in plan.tags:
        return [Tile(start, end, None)]
    readings, max_age = heard(samples, rule.tag), plan.unit.max_age_ms
    if isinstance(rule, CounterInference):
        return by_counter(readings, plan.tags[rule.tag], rule, pace, max_age, start, end)
    return by_gauge(readings, rule, max_age, start, end)


def _signs_of_life(plan: UnitPlan, samples: SampleColumns) -> Readings:
    """A meter is observed while its energy counter is good; one without, while any value is."""
    if ENERGY in plan.tags:
        times, values = heard(samples, ENERGY)
        return Readings(times, np.where(np.isnan(values), np.nan, 1.0))
    return Readings(samples.times, np.where(samples.alive, 1.0, np.nan))
