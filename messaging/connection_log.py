"""What is said of the connection of *messages*: one line on failure, one on recovery, never one per try. Pure.

A broker keeps one connection per client id: a second client of that name drives out the first, which comes back and
drives out the second. Seen from one of them: lost again and again right after it was connected, and free to come back.
"""

from typing import Final

from messaging import trouble
from messaging.access import BrokerAccess

SHORT_LIFE_S: Final = 12.0
"""A connection that was lost sooner may have been driven out."""
DRIVEN_OUT: Final = 3
"""So many short connections in a row are no accident."""
STEADY_S: Final = 60.0
"""After that, a connection must hold so long before it counts as one."""


class ConnectionLog:
    """Turns what happens into the line that is to be said, or None. Times are monotonic (s)."""

    def __init__(self, access: BrokerAccess, client_id: str) -> None:
        self._access, self._client_id = access, client_id
        self._told: set[str] = set()
        self._ready_at: float | None = None
        self._answered = False
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
        self._answered = True
        self._short_lives = 0
        return self._say(reason)

    def ready(self, now_s: float) -> str | None:
        """Connected and subscribed."""
        self._answered = True
        self._ready_at = now_s
        return None if self.driven_out else self._back()

    def held(self, now_s: float) -> str | None:
        """Time has passed; a connection that stands for STEADY_S drives nobody out."""
        if self._ready_at is None or now_s - self._ready_at < STEADY_S or not self.driven_out:
            return None
        self._short_lives = 0
        return self._back()

    def lost(self, reason: str, now_s: float) -> str | None:
        """The connection has ended without our doing. After a refusal that is no news."""
        ready_at, answered = self._ready_at, self._answered
        self._ready_at, self._answered = None, False
        if ready_at is None:
            return None if answered else self._say(trouble.hung_up(self._access))
        limit = STEADY_S if self.driven_out else SHORT_LIFE_S
        self._short_lives = self._short_lives + 1 if now_s - ready_at < limit else 0
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
