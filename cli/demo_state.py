"""What a demo remembers between two starts: the factory's epoch and seed, and since when its data have no gap."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from shopfloor.errors import PlantError, ServiceUnavailable
from shopfloor.instant import MINUTE, Instant, floor_to


@dataclass(frozen=True)
class DemoState:
    """Kept in the data folder as ``demo.json``."""

    plant: str
    seed: int
    epoch: Instant
    """When the simulated factory's script begins."""
    since: Instant
    """Start of the stretch without a gap that ends now."""

    @classmethod
    def open(cls, folder: Path, *, plant: str, seed: int, start: Instant) -> "DemoState":
        """The state of ``folder``; a new one begins at ``start``. Raises PlantError when it belongs to another demo."""
        path = folder / "demo.json"
        if not path.exists():
            state = cls(plant, seed, start, start)
            state.save(folder)
            return state
        state = msgspec.json.decode(path.read_bytes(), type=cls)
        if (state.plant, state.seed) != (plant, seed):
            raise PlantError(
                f"{folder}: holds a demo of {state.plant} with seed {state.seed}; "
                f"choose another --data folder or remove this one"
            )
        return state

    def resumed(self, folder: Path, last: Instant | None, earliest: Instant) -> "tuple[DemoState, Instant]":
        """Where time goes on after ``last``, the latest instant that every unit has; not before ``earliest``."""
        if last is None:
            return self, self.since
        if last >= earliest:
            return self, last
        state = replace(self, since=floor_to(earliest, MINUTE))
        state.save(folder)
        return state, state.since

    def save(self, folder: Path) -> None:
        """Write it whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "demo.json.part"
        partial.write_bytes(msgspec.json.encode(self))
        partial.replace(folder / "demo.json")


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other demos out of ``folder``; raises ServiceUnavailable when one is there. A killed one leaves no lock."""
    with (folder / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceUnavailable(
                f"another demo is running in {folder}; end it or choose another --data folder"
            ) from None
        yield
