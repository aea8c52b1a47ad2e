"""The faults: each takes hold of some parts, harms them, and gives them back well.

Parts that one fault holds no other may touch, so each comes back; faults of different parts overlap as they fall.
"""

import asyncio
import random
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from messaging.access import BrokerAccess
from messaging.client import Message, MqttClient
from shopfloor.clock import SystemClock
from shopfloor.errors import ServiceUnavailable
from shopfloor.instant import Instant
from tests.soak import saboteur
from tests.soak.garbage import Garbage
from tests.soak.link import Link
from tests.soak.wire import Published
from tests.soak.works import INGESTS, SCAN_S, JournalTail, Outage, Works

COMES_BACK_S = 60.0
DEVICE_TRIES = (1, 3, 7, 15)
"""Scans from the first failed poll to the next tries: polls of a lost device are repeated after 1, 2, 4 and 8 scans."""
DEVICE_CUTS = DEVICE_TRIES[:-1]
"""Before one of these tries the line is well again."""

STEPS_S = (5, 45, 3_600, 86_400, 300 * 86_400)
"""How far a clock is set."""
FRESH_S = 0.6
"""A receipt so old covers what was written just now."""
NO_RECEIPT_S = 15.0
"""So long a fault waits for receipts: a takeover lasts less."""
LATE_S = 3.0
"""Faults may go on for so long after the storm."""
AHEAD = 10
"""Faults that may wait for their parts."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault on certain parts."""

    kind: str
    parts: frozenset[str]
    strike: Callable[[random.Random], Awaitable[None]]
    weight: float = 1.0
    lasts_s: float = 5.0
    """About how long until all is well again."""

    @property
    def on(self) -> str:
        """Whom it strikes."""
        return ",".join(sorted(self.parts))


class Faults:
    """All faults that the works may suffer."""

    def __init__(self, works: Works, seed: int) -> None:
        self._works = works
        self._clock = SystemClock()
        self._garbage = Garbage(works.plant, random.Random(f"{seed}/garbage"))
        self.garbled = 0
        """Broken messages sent."""

    def every(self) -> list[Fault]:
        """One of each kind on each of its parts."""
        return [*self._kills(), *self._links(), *self._devices(), *self._disks(), *self._clocks(), *self._words()]

    # ------------------------------------------------------------ processes

    def _kills(self) -> Iterable[Fault]:
        works = self._works
        for agent in works.agents:
            yield self._fault("kill agent", [agent], partial(self._kill_agent, agent), 2.0)
        for name in INGESTS:
            yield self._fault("kill ingest", [name], partial(self._kill, name, 3.0), 2.0)
            yield self._fault("freeze ingest", [name], partial(self._freeze, name))
        parts = [*INGESTS, *(f"{agent}>broker" for agent in works.agents)]
        yield self._fault("kill between write and derive", parts, self._kill_at_notify, lasts_s=15.0)
        parts = [*INGESTS, "broker"]
        yield self._fault("kill ingest at receipt, then broker", parts, self._kill_at_receipt, lasts_s=6.0)
        for name in ("broker", "influxd", "api"):
            if name in works.children:
                yield self._fault(f"kill {name}", [name], partial(self._kill, name, 2.0))
        for name in ("broker", "influxd"):
            if name in works.children:
                yield self._fault(f"freeze {name}", [name], partial(self._freeze, name))

    async def _kill(self, name: str, longest_s: float, rng: random.Random) -> None:
        child = self._works.children[name]
        await child.kill()
        await asyncio.sleep(rng.uniform(0, longest_s))
        await self._works.restart(child)
        await asyncio.sleep(1.0 if name == "api" else 2.0)

    async def _kill_agent(self, agent: str, rng: random.Random) -> None:
        """Its units are not read from the kill to the first reading of the next process, as the journal tells."""
        works, child = self._works, self._works.children[agent]
        units = set(works.units_of(agent))
        await child.kill()
        killed = self._clock.now()
        await asyncio.sleep(rng.uniform(0, 4.0))
        tail = JournalTail.from_now(works.journal)
        begins: dict[str, Instant] = {}
        await works.restart(child)
        deadline = time.monotonic() + COMES_BACK_S
        while len(begins) < len(units):
            begins |= {unit: t for unit, t in tail.first_after(killed, units).items() if unit not in begins}
            if time.monotonic() > deadline:
                raise RuntimeError(f"{agent} does not read its units again: {units - begins.keys()}")
            await asyncio.sleep(0.05)
        works.outages += [Outage(unit, killed, begins[unit], f"kill {agent}") for unit in units]

    async def _kill_at_notify(self, rng: random.Random) -> None:
        """Late data meet a process that dies between their write and their derivation; it is alone meanwhile."""
        works = self._works
        child, other = (works.children[name] for name in rng.sample(INGESTS, 2))
        lines = [works.links[f"{agent}>broker"] for agent in works.agents]
        for each in (child, other):
            await each.kill()
        for line in lines:
            line.cut()
        turn = rng.randint(1, 3)
        await asyncio.sleep(rng.uniform(1.0, 3.0))
        command = saboteur.launcher(f"die-at-notify={turn}")
        await child.start((*command, *child.command[3:]))
        child.wanted = False
        await asyncio.sleep(1.0)
        for line in lines:
            line.mend()
        try:
            async with asyncio.timeout(COMES_BACK_S):
                code = await child.ended()
        except TimeoutError:
            works.tell("nothing was written", who=child.name)
            await child.kill()
        else:
            if code != -signal.SIGKILL:
                raise RuntimeError(f"{child.name} was to die between write and derive: {child.words()[-300:]}")
            child.kills += 1
        for each in (child, other):
            await works.restart(each)
        await asyncio.sleep(2.0)

    async def _kill_at_receipt(self, rng: random.Random) -> None:
        """Whoever serves dies when all agents were just confirmed something, and the broker with what came since."""
        works = self._works
        broker, *ingests = (works.children[name] for name in ("broker", *INGESTS))
        deadline = time.monotonic() + NO_RECEIPT_S
        while any(works.wire.quiet_s(agent) > FRESH_S for agent in works.agents):
            if time.monotonic() > deadline:
                works.tell("no receipts", **{agent: works.wire.quiet_s(agent) for agent in works.agents})
                break
            await asyncio.sleep(0.02)
        await asyncio.gather(*(each.kill() for each in ingests))
        await asyncio.sleep(rng.uniform(1.5, 3.0) * SCAN_S)
        await broker.kill()
        for each in (broker, *ingests):
            await works.restart(each)
        await asyncio.sleep(2.0)

    async def _freeze(self, name: str, rng: random.Random) -> None:
        child = self._works.children[name]
        child.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(rng.uniform(1.0, 9.0))
        finally:
            child.signal(signal.SIGCONT)
        await asyncio.sleep(0.5)

    # ------------------------------------------------------------ links

    def _links(self) -> Iterable[Fault]:
        for name in self._works.links:
            if name.endswith((">broker", ">influxd")):
                for kind in ("cut", "stall", "slow"):
                    yield self._fault(f"{kind} link", [name], partial(self._harm_link, name, kind), 0.7)

    async def _harm_link(self, name: str, kind: str, rng: random.Random) -> None:
        link = self._works.links[name]
        harm(link, kind, rng)
        await asyncio.sleep(rng.choice((0.3, 1.0, 3.0, 6.0)) * rng.uniform(0.5, 1.5))
        link.mend()

    def _devices(self) -> Iterable[Fault]:
        for agent in self._works.agents:
            for kind in ("cut", "stall"):
                yield self._fault(f"{kind} device line", [agent], partial(self._harm_device, agent, kind), 1.5)

    async def _harm_device(self, agent: str, kind: str, rng: random.Random) -> None:
        """From between two polls to shortly before the agent tries again."""
        links = self._works.device_links(agent)
        struck = rng.sample(links, rng.randint(1, len(links)))
        tail = JournalTail.from_now(self._works.journal)
        scans = rng.choice(DEVICE_CUTS)
        await self._until_second(0.5)
        start = self._clock.now()
        for link, _ in struck:
            harm(link, kind, rng)
        await asyncio.sleep(0.6 * SCAN_S)
        await asyncio.sleep((scans - 0.4) * SCAN_S)
        for link, _ in struck:
            link.mend()
        end = device_back(start, self._clock.now(), scans)
        self._works.outages += [
            Outage(unit, start, end, f"{kind} {link.name}") for link, units in struck for unit in units
        ]
        await self._read_again(tail, {unit for _, units in struck for unit in units})
        await asyncio.sleep(2.5 * SCAN_S)

    async def _read_again(self, tail: JournalTail, units: set[str]) -> None:
        """Return when these are read: struck again before that, an agent would wait longer than after one outage."""
        mended, deadline = self._clock.now(), time.monotonic() + COMES_BACK_S
        while units:
            units = units - tail.first_after(mended, units).keys()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{', '.join(units)} are not read again")
            await asyncio.sleep(0.05)

    async def _until_second(self, share: float) -> None:
        now = self._clock.now() / 1000
        await asyncio.sleep((share - now) % 1.0)

    # ------------------------------------------------------------ disks

    def _disks(self) -> Iterable[Fault]:
        for agent in self._works.agents:
            yield self._fault("full disk under outbox", [agent], partial(self._fill, agent, agent), 1.5)
        parts = [*INGESTS, *self._works.agents]
        yield self._fault("full disk under dead letters", parts, self._fill_dead_letters, 1.5)

    async def _fill(self, disk: str, child: str, rng: random.Random) -> None:
        small, owner = self._works.disks[disk], self._works.children[child]
        small.fill(owner)
        try:
            await asyncio.sleep(rng.uniform(2.0, 6.0))
        finally:
            small.free(owner)
        await asyncio.sleep(3.0)

    async def _fill_dead_letters(self, rng: random.Random) -> None:
        small = self._works.disks["ingest"]
        owners = [self._works.children[name] for name in INGESTS]
        for owner in owners:
            small.fill(owner)
        try:
            await self._say_garbage(rng)
            await asyncio.sleep(rng.uniform(2.0, 6.0))
        finally:
            for owner in owners:
                small.free(owner)
        await asyncio.sleep(2.0)

    # ------------------------------------------------------------ clocks

    def _clocks(self) -> Iterable[Fault]:
        for agent in self._works.clocks:
            yield self._fault("step clock", [agent], partial(self._step_clock, agent), 1.5)

    async def _step_clock(self, agent: str, rng: random.Random) -> None:
        """Somebody sets the clock, once or twice, and sets it right again."""
        for _ in range(rng.randint(1, 2)):
            self._works.set_clock(agent, rng.choice((-1, 1)) * rng.choice(STEPS_S))
            await asyncio.sleep(rng.uniform(1.0, 4.0))
        self._works.set_clock(agent, 0)
        await asyncio.sleep(3.0)

    # ------------------------------------------------------------ words

    def _words(self) -> Iterable[Fault]:
        for agent in self._works.agents:
            yield self._fault("repeat and shuffle messages", [f"{agent} again"], partial(self._repeat, agent), 1.5)
        yield self._fault("broken messages", ["garbage"], self._say_garbage, 1.5)

    async def _repeat(self, agent: str, rng: random.Random) -> None:
        await self._say(agent, self._works.wire.repeated(agent, rng.randint(20, 200), rng), rng)

    async def _say_garbage(self, rng: random.Random) -> None:
        for agent in self._works.agents:
            messages = [self._garbage.message(agent) for _ in range(rng.randint(5, 25))]
            self.garbled += await self._say(agent, messages, rng)

    async def _say(self, user: str, messages: Iterable[Published], rng: random.Random) -> int:
        """Publish with an agent's right, beside it; how many the broker took. One that is away ends the speech."""
        access = BrokerAccess(f"mqtt://127.0.0.1:{self._works.broker_port}", user, self._works.users[user])
        said = 0
        async with MqttClient(access, f"soak-{user}-{rng.getrandbits(32):x}") as client:
            try:
                await client.wait_connected(5.0)
                for topic, payload in messages:
                    await client.publish(Message(topic, payload))
                    said += 1
            except ServiceUnavailable as fault:
                self._works.tell("cut off while speaking", who=user, why=str(fault)[:60])
        return said

    def _fault(
        self,
        kind: str,
        parts: Iterable[str],
        strike: Callable[[random.Random], Awaitable[None]],
        weight: float = 1.0,
        *,
        lasts_s: float = 5.0,
    ) -> Fault:
        return Fault(kind, frozenset(parts), strike, weight, lasts_s)


def device_back(start: Instant, mended: Instant, scans: int) -> Instant:
    """When a line that broke half a scan before a poll is of use again: on a busy machine it may be mended after the
    try that was to find it well, and the agent then waits for the next."""
    scan_ms = SCAN_S * 1000
    tries = [start + round((each + 0.5) * scan_ms) for each in DEVICE_TRIES]
    if mended < tries[DEVICE_TRIES.index(scans)]:
        return mended
    return next((each for each in tries if each > mended), mended)


def harm(link: Link, kind: str, rng: random.Random) -> None:
    """Do it to a link."""
    if kind == "cut":
        link.cut()
    elif kind == "stall":
        link.stall()
    else:
        link.slow(rng.uniform(0.02, 0.3))


class Storm:
    """Lets faults fall on the works for so many seconds, each kind once before any comes twice.

    Which fault comes when is drawn from the seed alone; one whose parts another still holds waits, and later ones go
    before it.
    """

    def __init__(
        self,
        works: Works,
        seed: int,
        *,
        kinds: Collection[str] = (),
        spared: Callable[[Fault], bool] = lambda _: False,
    ) -> None:
        self._works, self._seed, self._spared = works, seed, spared
        self.faults = Faults(works, seed)
        self._all = [fault for fault in self.faults.every() if not kinds or fault.kind in kinds]
        self.count = 0
        self.by_kind: dict[str, int] = {}
        self._held: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()

    async def rage(self, seconds: float, pause_s: float) -> None:
        """Returns when every fault is over; raises what one of them met."""
        deadline = time.monotonic() + seconds
        pauses = random.Random(f"{self._seed}/pauses")
        plan, next_ones = self._plan(), deque[Fault]()
        while time.monotonic() < deadline:
            await asyncio.sleep(min(pauses.expovariate(1 / pause_s), 4 * pause_s))
            self._raise_what_failed()
            next_ones = deque(each for each in next_ones if not self._spared(each))
            drawn = islice(plan, AHEAD - len(next_ones))
            next_ones.extend(each for each in drawn if not self._spared(each))
            left_s = deadline - time.monotonic()
            ready = next((each for each in next_ones if self._may_strike(each, left_s)), None)
            if ready is not None:
                next_ones.remove(ready)
                self._strike(ready)
        while self._running:
            await asyncio.wait(self._running)
            self._raise_what_failed()

    def _plan(self) -> Iterator[Fault]:
        """The order of the faults, without end."""
        rng = random.Random(f"{self._seed}/plan")
        weights = [fault.weight for fault in self._all]
        kinds = sorted({fault.kind for fault in self._all})
        for kind in rng.sample(kinds, len(kinds)):
            yield rng.choice([fault for fault in self._all if fault.kind == kind])
        while True:
            yield rng.choices(self._all, weights)[0]

    def _may_strike(self, fault: Fault, left_s: float) -> bool:
        return not fault.parts & self._held and fault.lasts_s < left_s + LATE_S

    def _strike(self, fault: Fault) -> None:
        self.count += 1
        self.by_kind[fault.kind] = self.by_kind.get(fault.kind, 0) + 1
        self._held |= fault.parts
        self._running.add(asyncio.create_task(self._struck(fault, self.count), name=fault.kind))

    async def _struck(self, fault: Fault, number: int) -> None:
        self._works.tell(f"{number:4d} {fault.kind}", on=fault.on)
        began = time.monotonic()
        try:
            await fault.strike(random.Random(f"{self._seed}/{number}"))
        finally:
            self._held -= fault.parts
        self._works.tell(f"{number:4d} over", kind=fault.kind, lasted_s=round(time.monotonic() - began, 2))

    def _raise_what_failed(self) -> None:
        for task in [task for task in self._running if task.done()]:
            self._running.discard(task)
            task.result()
