"""What is said of *messages* that can never become points: a line at the first of a kind, then at ten, a hundred, ...

A kind is an agent and a reason. Hostile input may invent agents, so what is told apart is bounded.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from ingest.mapping import DeadLetter, Refusal
from messaging.payload import Fault

log = logging.getLogger(__name__)

MAX_KINDS: Final = 256
LONGEST: Final = 300
"""Characters of a detail that are shown."""
_ONE_PLANT_FILE: Final = "agent, broker and ingest must work by one plant file"
_REMEDIES: Final[Mapping[str, str]] = {
    Refusal.NOT_OWNER: f"two agents on one unit? {_ONE_PLANT_FILE}",
    Refusal.UNKNOWN_UNIT: _ONE_PLANT_FILE,
    Refusal.FUTURE_TIME: "set the clock of the agent, or of this machine",
    Refusal.CLOCK_UNSYNCED: "let the agent's machine find a time server",
    Fault.FOREIGN_AGENT: "an agent is started under another agent's MQTT user",
}


class LetterLog:
    """Counts dead letters by kind and says a line at each power of ten."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, letters: Iterable[DeadLetter]) -> None:
        """These are new in the file."""
        for letter in letters:
            kind = self._kind(letter)
            self._counts[kind] += 1
            if _is_power_of_ten(self._counts[kind]):
                self._say(kind, letter)

    def _kind(self, letter: DeadLetter) -> tuple[str, str]:
        kind = (letter.agent or "somebody", letter.reason)
        return kind if kind in self._counts or len(self._counts) < MAX_KINDS else ("others", letter.reason)

    def _say(self, kind: tuple[str, str], letter: DeadLetter) -> None:
        agent, reason = kind
        remedy = _REMEDIES.get(reason, "")
        log.warning(
            "%s: set aside as dead letters, %s: %d so far; the last: %s%s (shopfloor deadletters list)",
            agent,
            reason,
            self._counts[kind],
            " ".join(letter.detail.split())[:LONGEST],
            f"; {remedy}" if remedy else "",
        )


def _is_power_of_ten(count: int) -> bool:
    return str(count).strip("0") == "1"
