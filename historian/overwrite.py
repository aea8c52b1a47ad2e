"""Recomputed, never incremented: what must be written so that the store reads like a fresh derivation. Pure.

Stands at the arrow to the *facts* of registers -> samples -> messages -> points -> facts -> KPIs -> panels. A write
only merges fields and never removes one, so whatever no longer exists is overwritten with the neutral element.
"""

from collections.abc import Iterable
from dataclasses import replace

from historian.records import sparse
from shopfloor.additive import Elements
from shopfloor.fact import Fact, Loss, Stop


def changes(stored: Iterable[Fact], derived: Iterable[Fact]) -> list[Fact]:
    """What to write over ``stored`` so that it reads as ``derived``: whole facts, 0.0 for columns that vanished.

    A fact is written whole where anything of it differs, so that a store can keep sums of its columns beside them.
    Both hold one fact per identity and cover the same slices. Empty when nothing changes.
    """
    before = {(fact.unit, *fact.key): fact for fact in stored}
    if not before:  # as in a backfill
        return [fact for fact in map(_sparse, derived) if fact.elements]
    after = {(fact.unit, *fact.key): fact for fact in derived}
    written = []
    for key in before | after:
        old = sparse(before[key].elements) if key in before else {}
        new = sparse(after[key].elements) if key in after else {}
        if difference := _difference(old, new):
            written.append(Fact(*key, difference))
    return written


def _sparse(fact: Fact) -> Fact:
    kept = sparse(fact.elements)
    return fact if len(kept) == len(fact.elements) else replace(fact, elements=kept)


def _difference(old: Elements, new: Elements) -> Elements:
    return {} if old == new else new | dict.fromkeys(old.keys() - new.keys(), 0.0)


def rewritten(stored: Iterable[Fact], derived: Iterable[Fact]) -> list[Fact]:
    """The same, with every fact that did not change: what stands beside its columns is written again too."""
    fresh = {(fact.unit, *fact.key): fact for fact in map(_sparse, derived) if fact.elements}
    return list((fresh | {(fact.unit, *fact.key): fact for fact in changes(stored, fresh.values())}).values())


def loss_changes(stored: Iterable[Loss], derived: Iterable[Loss]) -> list[Loss]:
    """The same for losses: new and changed ones, and vanished ones with 0 seconds and 0 times."""
    before = {_identity(loss): loss for loss in stored if loss.seconds or loss.count}
    after = {_identity(loss): loss for loss in derived if loss.seconds or loss.count}
    changed = [loss for key, loss in after.items() if before.get(key) != loss]
    return changed + [replace(loss, seconds=0.0, count=0.0) for key, loss in before.items() if key not in after]


def _identity(loss: Loss) -> tuple[str, int, str, str, str, str]:
    return loss.unit, loss.time, loss.shift, loss.product, loss.category, loss.reason


def stop_changes(stored: Iterable[Stop], derived: Iterable[Stop]) -> list[Stop]:
    """The same for stops: new and changed ones, and vanished ones that end where they start."""
    before = {(stop.unit, stop.start): stop for stop in stored if stop.end != stop.start}
    after = {(stop.unit, stop.start): stop for stop in derived if stop.end != stop.start}
    changed = [stop for key, stop in after.items() if before.get(key) != stop]
    return changed + [replace(stop, end=stop.start) for key, stop in before.items() if key not in after]
