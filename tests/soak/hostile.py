"""Hostile messages: ``python -m tests.soak.hostile --messages 1000000 --seed 1``. The last line is a JSON verdict.

The plant of the fault harness runs unharmed, and clients with valid credentials publish garbage: as agents, bound by
the broker's rights, and as a stranger whom the broker forbids nothing. Good messages go on in between: those of the
real agents, and some from outboxes of their own with absurd seqs. What each message must come to is known when it is
sent:

letter   the ingest service counts it among the dead letters; no two are alike, so each is a letter of its own
refused  the broker's rights or limits stop it: it must not be counted anywhere
stored   a good one
unheard  it goes where nobody of the plant listens, or to those who must pass it over
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from historian.connect import connect
from ingest.dead_letters import DeadLetters
from messaging.payload import MAX_CARRIED_BYTES, MAX_MESSAGE_BYTES
from messaging.rights import Rights
from messaging.topic import agent_state_topic, receipt_topic
from shopfloor.clock import SystemClock
from shopfloor.instant import HOUR, Instant
from tests.soak.books import compared, outboxes, stored_samples
from tests.soak.child import ROOT
from tests.soak.garbage import Garbage
from tests.soak.memory import Memory
from tests.soak.verdict import Verdict, at_rest, drained, farewell, journal_entries
from tests.soak.works import Works, working

STRANGER = "stranger"
WAITING = 1_000
"""Letters that may be on their way: the broker drops what it cannot queue."""
IN_FLIGHT = 200
SHARE_GOOD = 0.02
SHARE_LONG = 0.001
SHARE_RETAINED = 0.01
OUTBOXES = 300
"""Good messages claim to be from so many outboxes."""
MOST_MB = 400.0
"""Resident memory of any of our processes."""
PATIENCE_S = 120.0
STEP_MS = 17
BUSY_MS = 10_000
"""A poll may take so long on a machine that shouts at itself."""


@dataclass(frozen=True, slots=True)
class Told:
    """One message that is to be sent, and what must become of it."""

    user: str
    topic: str
    payload: bytes
    fate: str
    retain: bool = False


@dataclass(slots=True)
class Crowd:
    """Draws messages, and remembers the good ones."""

    works: Works
    rng: random.Random
    garbage: Garbage
    good: set[tuple[str, Instant]] = field(default_factory=set)
    epoch: Instant = 0

    def next(self) -> Told:
        """One message of somebody."""
        agent = self.rng.choice(self.works.agents)
        draw = self.rng.random()
        if draw < SHARE_GOOD:
            return self._good(agent)
        if draw < SHARE_GOOD + SHARE_LONG:
            return self._long(agent)
        if self.rng.random() < 0.2:
            return self._of_stranger(agent)
        topic, payload = self.garbage.message(agent)
        allowed = any(topic == own for own in self.works.rights[agent].write)
        return Told(agent, topic, payload, "letter" if allowed else "refused", self.rng.random() < SHARE_RETAINED)

    def _good(self, agent: str) -> Told:
        t = self.epoch + len(self.good) * STEP_MS
        outbox = f"900d{self.rng.randrange(OUTBOXES):04x}"
        (topic, payload), unit = self.garbage.good(agent, outbox, t)
        self.good.add((unit, t))
        return Told(self.rng.choice((agent, STRANGER)), topic, payload, "stored")

    def _long(self, agent: str) -> Told:
        size = self.rng.choice((MAX_MESSAGE_BYTES, MAX_CARRIED_BYTES - 1_000, MAX_CARRIED_BYTES))
        topic, payload = self.garbage.long(agent, size)
        return Told(agent, topic, payload, "refused" if len(payload) > MAX_CARRIED_BYTES else "letter")

    def _of_stranger(self, agent: str) -> Told:
        """Where no agent may write."""
        topic, payload = self.garbage.message(agent)
        number = f"{self.rng.getrandbits(48):x}"
        places = (
            (topic, "letter"),
            (f"v1/UPPER/{number}/\u00e4/b/c/samples/{agent}", "letter"),
            (agent_state_topic(agent), "letter"),
            (receipt_topic(agent), "unheard"),
            (f"v1/receipts/nobody-{number}", "unheard"),
            (f"{topic}-{number}", "unheard"),
            (f"v2/{number}", "unheard"),
            (f"v1/{'a/' * 60}{number}", "unheard"),
            (f"v1/ingest/x-{number}", "unheard"),
        )
        place, fate = self.rng.choice(places)
        return Told(STRANGER, place, payload, fate, self.rng.random() < SHARE_RETAINED)


class Mouth:
    """Publishes as one user, without any of our own care."""

    def __init__(self, works: Works, user: str) -> None:
        self.acknowledged = 0
        self.sent = 0
        self._client = Client(CallbackAPIVersion.VERSION2, f"hostile-{user}", protocol=MQTTv311)
        self._client.username_pw_set(user, works.users[user])
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.on_publish = lambda *_: self._noted()
        self._client.connect("127.0.0.1", works.broker_port, keepalive=60)
        self._client.loop_start()

    def _noted(self) -> None:
        self.acknowledged += 1

    def say(self, told: Told) -> None:
        """Send it; returns at once."""
        self._client.publish(told.topic, told.payload, qos=1, retain=told.retain)
        self.sent += 1

    def close(self) -> None:
        """Hang up."""
        self._client.disconnect()
        self._client.loop_stop()


def shout(works: Works, crowd: Crowd, count: int) -> Counter[str]:
    """Send so many, no faster than they are counted. Blocking."""
    fates: Counter[str] = Counter()
    mouths = {user: Mouth(works, user) for user in (*works.agents, STRANGER)}
    letters = DeadLetters(works.disks["ingest"].folder / "dead_letters.db")
    try:
        for number in range(count):
            told = crowd.next()
            mouths[told.user].say(told)
            fates[told.fate] += 1
            if number % 100 == 0:
                _wait_for(lambda: sum(mouth.sent - mouth.acknowledged for mouth in mouths.values()) < 5 * IN_FLIGHT)
            if number % 100 == 0:
                _wait_for(lambda: fates["letter"] - letters.count() < WAITING)
            if number % max(count // 20, 1) == 0:
                works.tell("sent", messages=number, letters=letters.count())
        _wait_for(lambda: all(mouth.sent == mouth.acknowledged for mouth in mouths.values()))
        with_patience = time.monotonic() + PATIENCE_S
        while letters.count() < fates["letter"] and time.monotonic() < with_patience:
            time.sleep(0.1)
    finally:
        for mouth in mouths.values():
            mouth.close()
        letters.close()
    return fates


def _wait_for(holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError("the plant does not keep up: messages are neither acknowledged nor counted")
        time.sleep(0.01)


async def hostile(folder: Path, *, messages: int, seed: int, historian: str) -> tuple[Verdict, dict[str, Any]]:
    """One run."""
    verdict = Verdict()
    strangers = {STRANGER: Rights(("#",), ("#",))}
    # nobody listens while an agent goes over to another process, and only the real agents would say it again
    plant = Works(folder, seed, historian, strangers=strangers, small_disks=False, takeover=False)
    async with working(plant) as works:
        memory = Memory(works)
        watch = asyncio.create_task(memory.watch(), name="memory")
        rng = random.Random(seed)
        crowd = Crowd(works, rng, Garbage(works.plant, rng), epoch=SystemClock().now() - 6 * HOUR)
        began = time.monotonic()
        fates = await asyncio.to_thread(shout, works, crowd, messages)
        seconds = time.monotonic() - began
        works.tell("all sent", **fates)
        verdict.drain_s = await drained(works)
        watch.cancel()
        await at_rest(works, verdict)
        told = await asyncio.to_thread(judged, works, verdict, crowd, fates)
        await farewell(works, verdict, memory)
    verdict.broken += [f"{name} took {peak} MB" for name, peak in verdict.rss_mb.items() if peak > MOST_MB]
    return verdict, {"messages": messages, "messages_per_s": round(messages / seconds), **told}


def judged(works: Works, verdict: Verdict, crowd: Crowd, fates: Counter[str]) -> dict[str, Any]:
    """What the store and the dead letters hold, beside what was sent."""
    with closing(connect(works.store_url)) as store:
        stored = stored_samples(store, works.plant)
    with closing(DeadLetters(works.disks["ingest"].folder / "dead_letters.db")) as letters:
        counted, by_reason = letters.count(), letters.by_reason()
    places = {(unit, sample.time) for unit, samples in stored.items() for sample in samples}
    missing = crowd.good - places
    mine = {
        unit: [sample for sample in samples if (unit, sample.time) not in crowd.good]
        for unit, samples in stored.items()
    }
    committed = [each for agent in works.agents for each in outboxes(agent, works.outbox_files(agent))]
    books = verdict.books = compared(mine, journal_entries(works.journal), works.wire.outboxes, committed, BUSY_MS)
    checks = {
        f"{counted} letters are counted, {fates['letter']} were sent": counted == fates["letter"],
        f"{len(missing)} good messages are not stored": not missing,
        f"lost {books.lost[:3]}": not books.lost,
        f"phantom {books.phantom[:3]}": not books.phantom,
        f"wrong {books.wrong[:3]}": not books.wrong,
        f"not at rest: {books.left}": not books.left,
        f"tracebacks of {works.tracebacks()}": not works.tracebacks(),
        f"crashes {[str(crash) for crash in works.crashes]}": not works.crashes,
    }
    verdict.broken += [check for check, holds in checks.items() if not holds]
    return {
        **{f"sent_as_{fate}": count for fate, count in sorted(fates.items())},
        "counted": counted,
        "by_reason": by_reason,
        "good_missing": len(missing),
    }


def line(verdict: Verdict, told: dict[str, Any]) -> str:
    """The last line."""
    books = verdict.books
    return json.dumps(
        {
            **told,
            "agents_appended": books.appended,
            "agents_stored": books.stored,
            "lost": len(books.lost),
            "phantom": len(books.phantom),
            "wrong": len(books.wrong),
            "rss_mb": verdict.rss_mb,
            "broken": verdict.broken[:20],
        }
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--historian", choices=("influxd", "embedded"), default="influxd")
    parser.add_argument("--folder", type=Path, help="keep everything here")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="hostile-"))
    folder.mkdir(parents=True, exist_ok=True)
    run = hostile(folder, messages=arguments.messages, seed=arguments.seed, historian=arguments.historian)
    verdict, told = asyncio.run(run)
    if verdict.broken or arguments.folder:
        print(f"logs and journal are in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    print(line(verdict, told))
    return 1 if verdict.broken else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
