"""Samples -> messages: notices what the broker takes and nobody confirms, and tells it once. Pure but for the log.

A broker acknowledges and drops in silence what its rights refuse, and what it keeps for an ingest service that never
comes. Only the missing receipt tells. Two patterns: nothing at all is confirmed (no ingest, or its store is away), or
everything but one unit's messages (the broker does not let this agent write for that unit).
"""

import logging
from typing import Final

from edge_agent.window import Flight

log = logging.getLogger(__name__)

SENDS: Final = 4
"""Sends of one message, all acknowledged by the broker and none confirmed (35 s with the usual pauses)."""
STRIKES: Final = 3
"""Resends of one message after each of which a later one was confirmed."""


class Unconfirmed:
    """Told of every message that the broker has taken and of every receipt; says one line each time things change."""

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._silent = False
        self._told: set[str] = set()

    def taken(self, unit: str, flight: Flight) -> None:
        """The broker has acknowledged a message of this unit."""
        if flight.strikes >= STRIKES and unit not in self._told:
            self._told.add(unit)
            log.error(
                "%s: the broker takes messages of %s, and of these alone none is confirmed: does it let %s write for "
                "that unit? Give broker, ingest and agent one plant file (shopfloor deploy init); until then they are "
                "set aside",
                self._agent,
                unit,
                self._agent,
            )
        elif flight.strikes == 0 and flight.sends >= SENDS and not self._silent:
            self._silent = True
            log.error(
                "%s: the broker takes messages, of %s for one, and nobody confirms them: is the ingest service up, "
                "does its store take data, may %s write there? Nothing is lost: the outbox keeps them",
                self._agent,
                unit,
                self._agent,
            )

    def confirmed(self) -> None:
        """A receipt has come."""
        if self._silent:
            self._silent = False
            log.warning("%s: messages are confirmed again", self._agent)
