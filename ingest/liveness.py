"""Which agents still speak: silence decides, not a last will. From the arrival of *messages*. Pure."""

from typing import Final

from ingest.mapping import Source

SILENT_AFTER_MS: Final = 30_000
RIVALS_WITHIN_MS: Final = 60_000


class Liveness:
    """When each agent was last heard, on a monotonic clock (ms)."""

    def __init__(self, silent_after_ms: int = SILENT_AFTER_MS) -> None:
        self._silent_after_ms = silent_after_ms
        self._heard: dict[str, int] = {}

    def heard(self, agent: str, mono_ms: int) -> None:
        """The agent has just said something."""
        self._heard[agent] = mono_ms

    def silence_ms(self, agent: str, mono_ms: int) -> int | None:
        """How long the agent has been silent; None when it was never heard by this process."""
        heard = self._heard.get(agent)
        return None if heard is None else mono_ms - heard

    def alive(self, agent: str, mono_ms: int) -> bool:
        """Heard, and not silent for too long."""
        silence = self.silence_ms(agent, mono_ms)
        return silence is not None and silence < self._silent_after_ms


class OutboxWatch:
    """Notices two outboxes that are alive under one agent name: two machines were given the same id.

    One outbox that follows another for good is a changed card, and is none of it.
    """

    def __init__(self, within_ms: int = RIVALS_WITHIN_MS) -> None:
        self._within_ms = within_ms
        self._current: dict[str, str] = {}
        self._left: dict[Source, int] = {}
        self._told: set[str] = set()

    def rivals(self, source: Source, mono_ms: int) -> tuple[str, str] | None:
        """The two outboxes, the first time that an agent returns to one that it had just left; else None."""
        before = self._current.get(source.agent)
        self._current[source.agent] = source.outbox
        if before is None or before == source.outbox:
            return None
        left = self._left.pop(source, None)
        self._left = {gone: when for gone, when in self._left.items() if mono_ms - when <= self._within_ms}
        self._left[Source(source.agent, before)] = mono_ms
        if left is None or mono_ms - left > self._within_ms or source.agent in self._told:
            return None
        self._told.add(source.agent)
        return before, source.outbox
