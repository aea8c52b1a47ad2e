"""What is said of the connection of *messages*: one line on failure, one on recovery, never one per try. Pure.

A broker keeps one connection per client id: a second client of that name drives out the first, which comes back and
drives out the second. Seen from one of them: lost again and again right after it was connected, and free to come back.
"""

from enum import Enum, auto
from typing import Final

from messaging import trouble
from messaging.access import BrokerAccess

SHORT_LIFE_S: Final = 12.0
"""A connection that was lost sooner may have been driven out."""
DRIVEN_OUT: Final = 3
"""So many short connections in a row are no accident."""
TURN_S: Final = 5
"""After that we come back only so long later, that each has its turn ..."""
STEADY_S: Final = 60.0
"""... and a connection must hold so long before it counts as one."""


class Stage(Enum):
    """How far a connection has come."""

    NOTHING = auto()
    REFUSED = auto()
    IN = auto()


class ConnectionLog:
    """Turns what happens into the line that is to be said, or None. Times are monotonic (s)."""

    def __init__(self, access: BrokerAccess, client_id: str) -> None:
        self._access, self._client_id = access, client_id
        self._told: set[str] = set()
        self._stage = Stage.NOTHING
        self._since = 0.0
        self._short_lives = 0
        self.trouble = ""
        """What is wrong now; empty when all is well."""

    @property
    def driven_out(self) -> bool:
        """Whether another client of our name drives us out."""
        return self._short_lives >= DRIVEN_OUT

    def no_connection(self, fault: BaseException | None) -> str | None:
        """No connection could be made."""
        self._short_lives = 0
        return self._say(trouble.no_connection(fault, self._access))

    def refused(self, reason: str) -> str | None:
        """The broker does not let us in, or not read what we must."""
        self._stage = Stage.REFUSED
        self._short_lives = 0
        return self._say(reason)

    def connected(self, now_s: float) -> None:
        """The broker has let us in; the subscriptions are still to be confirmed."""
        self._stage = Stage.IN
        self._since = now_s

    def ready(self) -> str | None:
        """Connected and subscribed."""
        self._stage = Stage.IN  # it may have refused a subscription before
        return None if self.driven_out else self._back()

    def held(self, now_s: float) -> str | None:
        """Time has passed; a connection that stands for STEADY_S drives nobody out."""
        if self._stage is not Stage.IN or now_s - self._since < STEADY_S or not self.driven_out:
            return None
        self._short_lives = 0
        return self._back()

    def lost(self, reason: str, now_s: float) -> str | None:
        """The connection has ended without our doing. After a refusal that is no news."""
        stage, self._stage = self._stage, Stage.NOTHING
        if stage is Stage.REFUSED:
            return None
        if stage is Stage.NOTHING:
            return self._say(trouble.hung_up(self._access))
        limit = STEADY_S if self.driven_out else SHORT_LIFE_S
        self._short_lives = self._short_lives + 1 if now_s - self._since < limit else 0
        return self._say(trouble.driven_out(self._client_id) if self.driven_out else reason)

    def _say(self, what: str) -> str | None:
        self.trouble = what
        if what in self._told:
            return None
        self._told.add(what)
        return f"broker {self._access.url}: {what}; trying again"

    def _back(self) -> str | None:
        said, self.trouble = bool(self._told), ""
        self._told.clear()
        return f"broker {self._access.url} is back" if said else None
