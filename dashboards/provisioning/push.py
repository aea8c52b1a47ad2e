"""Bring a Grafana to hold what is wanted: compare, then write only what differs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from dashboards.provisioning.difference import difference, holds
from dashboards.provisioning.grafana import Grafana
from dashboards.provisioning.thing import Thing


class Outcome(StrEnum):
    """What became of a thing."""

    MADE = "made"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing, compared and, unless only asked, written."""

    thing: Thing
    outcome: Outcome
    difference: list[str]
    """Lines of a unified diff; empty where nothing differs."""


def push(grafana: Grafana, things: Iterable[Thing], *, dry: bool, secrets: bool) -> Iterator[Step]:
    """A step for each thing, in order; ``dry`` writes nothing. Raises GrafanaError at the first that is refused.

    ``secrets``: send those again of what is otherwise as wanted, since no server tells whether they are the same.
    """
    for thing in things:
        stored = grafana.find(thing)
        same = stored is not None and holds(thing.body, stored)
        again = same and secrets and bool(thing.secrets)
        if not dry and (again or not same):
            grafana.put(thing, stored)
        told = difference(str(thing), thing.body, stored) if not same else []
        outcome = Outcome.MADE if stored is None else Outcome.CHANGED if again or not same else Outcome.UNCHANGED
        yield Step(thing, outcome, told)
