"""The loss ledger: every sample accounted for, from the poll to the store."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLedger:
    """Counts of samples (one unit's cycle each) of one agent."""

    polled: int
    appended: int
    confirmed: int
    in_outbox: int
    evicted: int
    stored: int
    """Counted in the historian, not remembered."""
    rejected: int
    """Settled without a place in the store: dead-lettered."""

    @property
    def unpersisted(self) -> int:
        """Answered by the device but never committed to the outbox."""
        return self.polled - self.appended

    def imbalances(self) -> list[str]:
        """The identities that do not hold; empty when the ledger balances at rest."""
        held = self.confirmed + self.in_outbox + self.evicted
        settled = self.stored + self.rejected
        excess = 0 if self.in_outbox else self.evicted  # evicted on its way, a sample may be stored all the same
        claims = {
            f"appended {self.appended} = confirmed + in_outbox + evicted {held}": self.appended == held,
            f"confirmed {self.confirmed} = stored + rejected {settled}": 0 <= settled - self.confirmed <= excess,
            f"polled {self.polled} >= appended {self.appended}": self.polled >= self.appended,
        }
        return [claim for claim, holds in claims.items() if not holds]

    def as_dict(self) -> dict[str, int]:
        """The counts as JSON."""
        return {**asdict(self), "unpersisted": self.unpersisted}
