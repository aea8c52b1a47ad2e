"""Points -> panels: what is off in an agent's ledger, in sentences that say where the samples are. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from kpi_api.answers import AgentAccount, Concern, OutboxAccount, Trouble
from shopfloor.instant import MINUTE, SECOND, Instant, format_instant
from shopfloor.ledger import AgentLedger

SILENT_MS: Final = MINUTE
"""An agent tells its counts every few seconds; what it told longer ago is old."""
WAITING_MS: Final = MINUTE
"""A sample is confirmed within seconds; one that waits longer is worth a word."""


def concerns(
    agent: str, counts: AgentLedger, account: AgentAccount, now: Instant, *, arrived: int, moved_away: bool
) -> list[Concern]:
    """The agent's troubles, the worst first.

    ``arrived`` samples came to the store since the counts were told; ``moved_away`` says that the plant as a whole
    has all that this agent misses.
    """
    found = [
        *_of_store(agent, counts, arrived, moved_away=moved_away),
        *(each for outbox in account.outboxes for each in _of_outbox(outbox)),
        *_of_silence(agent, account, now),
        *_of_outboxes(agent, account, now),
        *_of_letters(agent, counts, account.dead_letters),
    ]
    return sorted(found, key=lambda concern: list(Trouble).index(concern.trouble))


def unclaimed_concerns(letters: Mapping[str, int]) -> list[Concern]:
    """Of the letters that belong to no agent of the plant."""
    count = sum(letters.values())
    if not count:
        return []
    text = f"{count:,} dead letters of no agent of the plant file ({_reasons(letters)}): shopfloor deadletters list"
    return [Concern(Trouble.UNREADABLE, text, count)]


def _of_store(agent: str, counts: AgentLedger, arrived: int, *, moved_away: bool) -> Iterator[Concern]:
    settled = counts.stored + counts.rejected
    if (lost := counts.confirmed - settled) > 0:
        why = (
            "the other agents have as many too much: was a unit moved to another agent in the plant file?"
            if moved_away
            else "was the historian or dead_letters.db put back to an older state, or are raw data older than kept?"
        )
        yield Concern(
            Trouble.MISSING, f"{lost:,} confirmed samples of {agent} are neither stored nor rejected; {why}", lost
        )
    if (more := settled - counts.appended - arrived) > 0:
        text = (
            f"{more:,} more samples are stored of {agent}'s units than it ever had; does another agent read them, too?"
        )
        yield Concern(Trouble.SURPLUS, text, more)


def _of_outbox(outbox: OutboxAccount) -> Iterator[Concern]:
    held = outbox.confirmed + outbox.in_outbox + outbox.evicted
    if outbox.appended != held or outbox.polled < outbox.appended:
        text = (
            f"outbox {outbox.outbox} contradicts itself: polled {outbox.polled:,}, appended {outbox.appended:,}, "
            f"confirmed + in outbox + evicted {held:,}; keep its file and report it"
        )
        yield Concern(Trouble.MISCOUNTED, text, abs(outbox.appended - held), outbox=outbox.outbox)
    if outbox.evicted:
        text = (
            f"{outbox.evicted:,} samples were thrown away at the edge: the outbox was full, or nobody confirmed them; "
            "see the agent's log, and outbox_max_samples in the plant file"
        )
        yield Concern(Trouble.EVICTED, text, outbox.evicted, outbox=outbox.outbox)


def _of_silence(agent: str, account: AgentAccount, now: Instant) -> Iterator[Concern]:
    if not account.outboxes:
        yield Concern(Trouble.NEVER_HEARD, f"nothing was ever heard of {agent}: is it running, and is ingest?")
    elif account.heard is not None and now - account.heard > SILENT_MS:
        held = account.outboxes[0].in_outbox
        text = (
            f"nothing was heard of {agent} since {_when(account.heard)}; it then held {held:,} samples. Is it running, "
            "does it reach the broker, is ingest running?"
        )
        yield Concern(Trouble.SILENT, text, held, account.heard)


def _of_outboxes(agent: str, account: AgentAccount, now: Instant) -> Iterator[Concern]:
    alive = [each for each in account.outboxes if each.heard is not None and now - each.heard <= SILENT_MS]
    if len(alive) > 1:
        ids = ", ".join(each.outbox for each in alive)
        yield Concern(Trouble.RIVALS, f"two outboxes are alive as {agent} ({ids}): give each machine its own agent id")
    for each in account.outboxes[1:]:
        if each.in_outbox and each not in alive:
            since = f", not heard since {_when(each.heard)}" if each.heard is not None else ""
            text = f"{each.in_outbox:,} samples are left in outbox {each.outbox}{since}: start an agent with its file"
            yield Concern(Trouble.LEFT_BEHIND, text, each.in_outbox, each.heard, each.outbox)
    for each in alive:
        if each.in_outbox and each.oldest_held is not None and now - each.oldest_held > WAITING_MS:
            moved = f"the last receipt came at {_when(each.receipt_moved)}" if each.receipt_moved else "no receipt yet"
            text = f"{each.in_outbox:,} samples wait at {agent}, the oldest of {_when(each.oldest_held)}; {moved}"
            yield Concern(Trouble.WAITING, text, each.in_outbox, each.oldest_held, each.outbox)


def _of_letters(agent: str, counts: AgentLedger, letters: Mapping[str, int]) -> Iterator[Concern]:
    if counts.rejected:
        text = (
            f"{counts.rejected:,} samples could not be stored ({_reasons(letters)}): "
            f"shopfloor deadletters list --agent {agent}"
        )
        yield Concern(Trouble.REJECTED, text, counts.rejected)
    if (unreadable := sum(letters.values()) - counts.rejected) > 0:
        text = (
            f"{unreadable:,} messages told no sample ({_reasons(letters)}): shopfloor deadletters list --agent {agent}"
        )
        yield Concern(Trouble.UNREADABLE, text, unreadable)


def _reasons(letters: Mapping[str, int]) -> str:
    told = sorted(((count, reason) for reason, count in letters.items() if count), reverse=True)
    return ", ".join(f"{reason} {count:,}" for count, reason in told) or "reasons not told"


def _when(instant: Instant) -> str:
    return format_instant(instant // SECOND * SECOND)
