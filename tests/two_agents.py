"""A plant of two agents with two units each, deployed: exactly the files that ``shopfloor deploy init`` writes."""

import asyncio
import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli.main import main
from cli.secret_files import settings
from messaging import mosquitto
from messaging.access import BrokerAccess
from messaging.broker import free_port
from messaging.mosquitto import Mosquitto
from messaging.rights import INGEST
from tests.one_line import LINE, one_line

AGENTS = {"edge-1": ("u1", "u2"), "edge-2": ("u3", "u4")}
SAMPLES = "v1/works/site/area/line/{unit}/samples/{agent}"


def plant_text(agents: dict[str, tuple[str, ...]] = AGENTS) -> str:
    """The plant file."""
    units = {
        unit: {
            "device": {
                "template": "cnc-generic",
                "connection": "modbus-tcp://192.0.2.1:502",
                "unit_id": number,
                "scan": "1s",
            },
            "states": {0: "no_order", 1: "running"},
            "product": "disc",
            "planned_run_time_s": {"disc": 30},
        }
        for number, unit in enumerate((unit for own in agents.values() for unit in own), start=1)
    }
    owners = {agent: [f"{LINE}/{unit}" for unit in own] for agent, own in agents.items()}
    return one_line(units, owners, products={"disc": {"mass_kg": 1}})


@dataclass(frozen=True)
class Deployed:
    """The folder that ``shopfloor deploy init`` has filled, and the ports in its files."""

    plant: Path
    directory: Path
    port: int
    local_port: int

    def init(self, *more: str) -> int:
        """Run the command (again)."""
        where = ["--directory", str(self.directory), "--port", str(self.port), "--local-port", str(self.local_port)]
        owner = ["--owner", pwd.getpwuid(os.geteuid()).pw_name]
        return main(["deploy", "init", str(self.plant), *where, *owner, *more])

    def access(self, user: str) -> BrokerAccess:
        """What a process that is started with the generated settings uses."""
        return BrokerAccess.from_environment(settings(self.env(user).read_text("utf-8")))

    def env(self, user: str) -> Path:
        """The settings of a user."""
        return self.directory / ("ingest.env" if user == INGEST else f"agents/{user}/agent.env")

    async def broker(self) -> Mosquitto:
        """Debian's mosquitto with exactly the generated files."""
        folder = self.directory / "mosquitto"
        broker = await mosquitto.run(folder / "mosquitto.conf", self.local_port, self.directory / "mosquitto.log")
        async with asyncio.timeout(10):  # the port of the agents is opened by itself
            while True:
                with suppress(OSError):
                    (await asyncio.open_connection("127.0.0.1", self.port))[1].close()
                    return broker
                await asyncio.sleep(0.01)


def deployed(folder: Path, *more: str) -> Deployed:
    """A fresh deployment for 127.0.0.1."""
    plant = folder / "plant.yaml"
    plant.write_text(plant_text(), "utf-8")
    made = Deployed(plant, folder / "generated", free_port(), free_port())
    assert made.init(*(more or ("--host", "127.0.0.1"))) == 0
    return made
