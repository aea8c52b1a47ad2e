"""The plant of processes: simulators, agents, broker, historian, ingest and API, with every link between them."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cli.plants import load_plant
from historian.influx_access import InfluxAccess
from historian.influx_setup import FOREVER, set_up
from messaging import mosquitto
from messaging.broker import free_port
from messaging.rights import INGEST, Rights, rights_of
from shopfloor.clock import SystemClock
from shopfloor.instant import HOUR, Instant, format_instant
from shopfloor.plant import Plant
from simulators.journal import Entry
from tests import faketime, influxd
from tests.soak.child import SHOPFLOOR, Child, Crash, listening
from tests.soak.disk import SmallDisk
from tests.soak.link import Link
from tests.soak.saboteur import launcher
from tests.soak.waits import Waits
from tests.soak.wire import Wire

PLANT = Path(__file__).with_name("plant.yaml")
SCAN_S = 1.0
DRAIN_S = 60
"""An agent that is asked to end waits so long for its last receipts."""
RESTART_S = 1.0
"""What ends by itself is started again after so long, as a supervisor would."""
LONGEST_ENTRY = 65_536
"""Bytes of a line of the journal, at most."""
INGESTS = ("ingest-1", "ingest-2")
DATABASE = "soak"


@dataclass(frozen=True, slots=True)
class Outage:
    """Time in which nobody could read a unit, because of a fault."""

    unit: str
    start: Instant
    end: Instant
    cause: str


class JournalTail:
    """Reads the simulators' journal as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self.last: dict[str, Entry] = {}
        """Unit -> its latest entry."""

    @classmethod
    def from_now(cls, path: Path) -> "JournalTail":
        """Passes over what is there already."""
        tail = cls(path)
        if path.exists():
            with path.open("rb") as file:
                size = file.seek(0, 2)
                begin = file.seek(max(0, size - LONGEST_ENTRY))
                tail._at = begin + file.read().rfind(b"\n") + 1
        return tail

    def first_after(self, since: Instant, units: set[str]) -> dict[str, Instant]:
        """Of each unit the first reading after an instant, among what has come since the last call."""
        found: dict[str, Instant] = {}
        for entry in self._news():
            self.last[entry.unit] = entry
            if entry.unit in units and entry.t > since:
                found.setdefault(entry.unit, entry.t)
        return found

    def _news(self) -> Iterator[Entry]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._at += len(line)
                raw = json.loads(line)
                yield Entry(raw["unit"], raw["n"], raw["t"], raw["values"])


@dataclass
class Works:
    """Everything that runs."""

    folder: Path
    seed: int
    historian: str
    """``influxd``, or ``embedded``: then it is no process and has no link."""
    sabotage: Mapping[str, str] = field(default_factory=dict)
    """Child -> a kind of ``tests.soak.saboteur``, to prove the harness."""

    small_disks: bool = True
    """Whether disks may be filled."""
    takeover: bool = True
    """Whether both ingest processes may serve every agent; else each serves its own."""
    strangers: Mapping[str, Rights] = field(default_factory=dict)
    """Users that the broker knows beside those of the plant."""

    def __post_init__(self) -> None:
        self.plant: Plant = load_plant(PLANT)
        self.epoch: Instant = SystemClock().now() - HOUR
        self.agents = tuple(self.plant.agents)
        self.wire = Wire()
        self.children: dict[str, Child] = {}
        self.links: dict[str, Link] = {}
        self.disks: dict[str, SmallDisk] = {}
        self.clocks: dict[str, Path] = {}
        self.outages: list[Outage] = []
        self.crashes: list[Crash] = []
        self.waits = Waits(lambda: {name: child.pid for name, child in self.children.items() if child.running})
        self.journal = self.folder / "simulators" / "journal.jsonl"
        self.rights = {**rights_of(self.plant), **self.strangers}
        self.users = {user: secrets.token_urlsafe(16) for user in self.rights}
        self.api_port = free_port()
        self.broker_port = free_port()
        self._log = (self.folder / "faults.jsonl").open("a", encoding="utf-8")
        self._began = time.monotonic()

    # ------------------------------------------------------------ what is said

    def seconds(self) -> float:
        """Since the harness began."""
        return time.monotonic() - self._began

    def tell(self, what: str, **details: object) -> None:
        """A line for people, and one for the log from which a run can be followed."""
        shown = " ".join(f"{name}={value}" for name, value in details.items())
        print(f"{self.seconds():7.1f} s  {what} {shown}".rstrip(), flush=True)
        self._log.write(json.dumps({"t": round(self.seconds(), 3), "what": what, **details}, default=str) + "\n")
        self._log.flush()

    # ------------------------------------------------------------ who there is

    def units_of(self, agent: str) -> list[str]:
        """The paths that an agent reads."""
        return list(self.plant.agents[agent].units)

    def device_links(self, agent: str) -> list[tuple[Link, list[str]]]:
        """An agent's links to devices, each with the units behind it."""
        found: dict[str, list[str]] = {}
        for path in self.units_of(agent):
            host, port = self.plant.units[path].device.connection
            found.setdefault(f"{agent}>{host}:{port}", []).append(path)
        return [(self.links[name], units) for name, units in found.items()]

    # ------------------------------------------------------------ start and end

    async def start(self) -> None:
        """Start everything, in the order in which it is needed."""
        await asyncio.gather(self._start_simulators(), self._start_broker(), self._start_historian())
        services = [self._start_ingest(name) for name in INGESTS]
        agents = [self._start_agent(agent) for agent in self.agents]
        await asyncio.gather(*services, self._start_api(), *agents)
        await self._all_read()
        await self._all_confirmed()

    async def restart(self, child: Child) -> None:
        """Start a child that was killed; returns when it is of use again."""
        await child.start(self._sabotaged(child))
        if child.name in self.agents:
            return
        port = {"broker": self.broker_port, "api": self.api_port, "influxd": self.influx_port}.get(child.name)
        if port:
            await listening(port, child)

    async def close(self) -> None:
        """End whatever still runs, at once."""
        for child in self.children.values():
            await child.kill()
        for link in self.links.values():
            await link.close()
        for disk in self.disks.values():
            disk.unmount()
        self._log.close()

    async def watch(self) -> None:
        """Start again what has ended by itself, and remember that it did; until cancelled."""
        while True:
            for child in self.children.values():
                if (crash := child.crash()) is not None:
                    child.wanted = False
                    self.crashes.append(crash)
                    self.tell("CRASH", who=child.name, code=crash.code, words=crash.words[-200:])
                    await asyncio.sleep(RESTART_S)
                    await self.restart(child)
            await asyncio.sleep(0.1)

    # ------------------------------------------------------------ each of them

    def _sabotaged(self, child: Child) -> tuple[str, ...] | None:
        kinds = [self.sabotage[child.name]] if child.name in self.sabotage else []
        if child.name in self.clocks:
            kinds.append("sleep-by-select")
        return (*launcher(",".join(kinds)), *child.command[len(SHOPFLOOR) :]) if kinds else None

    def _child(self, name: str, command: tuple[str, ...], environment: Mapping[str, str] | None = None) -> Child:
        child = self.children[name] = Child(name, command, self.folder, environment or {})
        return child

    async def _link(self, name: str, target: tuple[str, int], **ear: Callable[[], object]) -> Link:
        link = self.links[name] = Link(name, target, **ear)  # type: ignore[arg-type]
        await link.open()
        return link

    async def _start_simulators(self) -> None:
        folder = self.journal.parent
        folder.mkdir(parents=True)
        arguments = ("simulate", str(PLANT), "--seed", str(self.seed), "--epoch", format_instant(self.epoch))
        child = self._child("simulators", (*SHOPFLOOR, *arguments), {"SHOPFLOOR_DATA": str(folder)})
        await child.start()
        table = folder / "endpoints.json"
        async with asyncio.timeout(30):
            while not (table.exists() and table.stat().st_size):  # noqa: ASYNC110 - a file is asked
                await asyncio.sleep(0.05)
        served = json.loads(table.read_text())
        for agent in self.agents:
            endpoints = {}
            for path in self.units_of(agent):
                host, port = self.plant.units[path].device.connection
                place = f"{host}:{port}"
                if place not in endpoints:
                    to_host, _, to_port = served[place].rpartition(":")
                    link = await self._link(f"{agent}>{place}", (to_host, int(to_port)))
                    endpoints[place] = f"127.0.0.1:{link.port}"
            (self.folder / f"endpoints-{agent}.json").write_text(json.dumps(endpoints))

    async def _start_broker(self) -> None:
        executable = mosquitto.find()
        if executable is None:
            raise RuntimeError("mosquitto is not installed")
        folder = self.folder / "broker"
        folder.mkdir()
        config = mosquitto.write_config(folder, self.broker_port, self.rights, self.users)
        child = self._child("broker", (executable, "-c", str(config)))
        await child.start()
        await listening(self.broker_port, child)

    async def _start_historian(self) -> None:
        self.influx_port = 0
        self.store_url = str(self.folder / "historian")
        if self.historian == "embedded":
            return
        executable = influxd.find()
        if executable is None:
            raise RuntimeError("influxd is not installed")
        daemon = influxd.InfluxDaemon(self.folder / "influxd")
        self.influx_port, self.store_url = daemon.port, daemon.url(DATABASE)
        child = self._child("influxd", (executable, "run", "-config", str(daemon.folder / "influxdb.conf")))
        await child.start()
        await listening(daemon.port, child)
        for line in await asyncio.to_thread(list, set_up(InfluxAccess.of(self.store_url), FOREVER)):
            self.tell(f"historian: {line}")

    async def _historian_of(self, name: str) -> dict[str, str]:
        """How a process reaches the store."""
        url = self.store_url
        if self.influx_port:
            link = await self._link(f"{name}>influxd", ("127.0.0.1", self.influx_port))
            url = f"http://127.0.0.1:{link.port}/{DATABASE}"
        return {"SHOPFLOOR_HISTORIAN": url}

    def _broker_of(self, user: str, link: Link) -> dict[str, str]:
        return {
            "SHOPFLOOR_MQTT_URL": f"mqtt://127.0.0.1:{link.port}",
            "SHOPFLOOR_MQTT_USERNAME": user,
            "SHOPFLOOR_MQTT_PASSWORD": self.users[user],
        }

    async def _start_ingest(self, name: str) -> None:
        link = await self._link(f"{name}>broker", ("127.0.0.1", self.broker_port))
        own = () if self.takeover else ("--agents", self.agents[INGESTS.index(name)])
        disk = self.disks.setdefault("ingest", SmallDisk(self.folder / "ingest", small=self.small_disks))
        environment = {
            **self._broker_of(INGEST, link),
            **await self._historian_of(name),
            "SHOPFLOOR_DATA": str(disk.folder),
        }
        child = self._child(name, (*SHOPFLOOR, "ingest", str(PLANT), *own), environment)
        await child.start(self._sabotaged(child))

    async def _start_api(self) -> None:
        command = (*SHOPFLOOR, "api", str(PLANT), "--port", str(self.api_port))
        child = self._child("api", command, await self._historian_of("api"))
        await child.start()
        await listening(self.api_port, child)

    async def _start_agent(self, agent: str) -> None:
        link = await self._link(f"{agent}>broker", ("127.0.0.1", self.broker_port), ear=self.wire.ear(agent))
        disk = self.disks[agent] = SmallDisk(self.folder / agent, small=self.small_disks)
        endpoints = self.folder / f"endpoints-{agent}.json"
        arguments = ("edge", str(PLANT), "--agent", agent, "--endpoints", str(endpoints), "--drain", f"{DRAIN_S}s")
        environment = {**self._broker_of(agent, link), "SHOPFLOOR_DATA": str(disk.folder)}
        environment |= self._clock_of(agent)
        child = self._child(agent, (*SHOPFLOOR, *arguments), environment)
        await child.start(self._sabotaged(child))

    def _clock_of(self, agent: str) -> dict[str, str]:
        """The agent sees the clock that a file tells; nothing where faketime is not installed."""
        preloaded = faketime.library()
        if preloaded is None:
            return {}
        self.clocks[agent] = self.folder / f"clock-{agent}"
        self.set_clock(agent, 0)
        return faketime.environment(preloaded, self.clocks[agent])

    def set_clock(self, agent: str, seconds: int) -> None:
        """The agent's wall clock is so far from the truth from now on."""
        faketime.set_clock(self.clocks[agent], seconds)

    async def _all_read(self) -> None:
        """Return when every unit was read."""
        tail, missing = JournalTail(self.journal), set(self.plant.units)
        async with asyncio.timeout(60):
            while missing:
                missing -= tail.first_after(0, missing).keys()
                await asyncio.sleep(0.1)

    async def _all_confirmed(self) -> None:
        """Return when each agent is confirmed something: only then somebody serves it."""
        async with asyncio.timeout(60):
            while any(self.wire.confirmed(agent) == 0 for agent in self.agents):  # noqa: ASYNC110 - a wire is heard
                await asyncio.sleep(0.1)

    def tracebacks(self) -> list[str]:
        """Who has met an error that nobody had thought of."""
        return [name for name, child in self.children.items() if "Traceback (most recent" in child.words()]

    def outbox_files(self, agent: str) -> list[Path]:
        """The outboxes that an agent has written, those set aside included."""
        return sorted(self.disks[agent].folder.glob(f"outbox-{agent}*.db*"))


@asynccontextmanager
async def working(works: Works) -> AsyncIterator[Works]:
    """The plant, started and watched; in the end nothing of it is left."""
    try:
        await works.start()
        watches = [
            asyncio.create_task(works.watch(), name="watch"),
            asyncio.create_task(works.waits.watch(), name="waits"),
        ]
        try:
            yield works
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
    finally:
        await works.close()
