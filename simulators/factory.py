"""A whole plant as simulated devices, with its truth and its journal: everything before *registers -> samples*."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from random import Random

from devices.template import Template
from shopfloor.clock import Clock
from shopfloor.errors import PlantError
from shopfloor.instant import Instant
from shopfloor.plant import Plant, WorkUnit
from shopfloor.statement import Statement
from simulators.faults import Faults
from simulators.journal import Journal
from simulators.machine import Machine, Meter, Source
from simulators.meter_replay import MeterReplay
from simulators.modbus_server import DeviceServer, ServedDevice
from simulators.parameters import parameters_of
from simulators.power import Load, PowerTrace, SumOfLoads
from simulators.scenario import Script
from simulators.supply import Supply, supply_of
from simulators.truth import Truth, machine_truth, meter_truth

Address = tuple[str, int]
Connection = tuple[str, int]


class Factory:
    """Serves every device of a plant on loopback. Same plant, seed and epoch: same factory, in any process.

    A unit with states, or whose running is inferred, is a machine with a script of its own. Any other is a meter: it
    replays ``replay`` where there is one, else it counts the machines of its site and a base load. Raises PlantError
    for what cannot be simulated.
    """

    def __init__(
        self,
        plant: Plant,
        *,
        seed: int,
        epoch: Instant,
        clock: Clock,
        journal_path: Path,
        templates: Callable[[str], Template],
        replay: MeterReplay | None = None,
    ) -> None:
        self.epoch = epoch
        self._plant = plant
        self._seed = seed
        self._templates = templates
        self._replay = replay
        self._scripts = {path: Script(unit, seed, epoch) for path, unit in plant.units.items() if unit.is_machine}
        self._loads = {path: self._load(unit) for path, unit in plant.units.items() if not unit.is_machine}
        self._sources = {path: self._source(unit) for path, unit in plant.units.items()}
        self.journal = Journal(journal_path)
        self._devices = {
            path: ServedDevice(
                path, unit.device.unit_id, templates(unit.device.template), self._sources[path], self.journal, clock
            )
            for path, unit in plant.units.items()
        }
        self._servers: list[DeviceServer] = []

    async def start(self) -> Mapping[Connection, Address]:
        """Open a server per connection of the plant; returns where each one really listens.

        Raises ServiceUnavailable; then nothing is left open.
        """
        endpoints: dict[Connection, Address] = {}
        try:
            for connection, devices in self._by_connection().items():
                server = DeviceServer(devices)
                self._servers.append(server)
                endpoints[connection] = await server.start()
        except BaseException:
            await self.stop()
            raise
        return endpoints

    async def stop(self) -> None:
        """Close all servers and the journal's file, which can still be read."""
        while self._servers:
            await self._servers.pop().stop()
        self.journal.close()

    def truth(self, unit: str, start: Instant, end: Instant, statements: Iterable[Statement] = ()) -> Truth:
        """What truly happened to a unit between a reading at ``start`` and one at ``end``; raises KeyError."""
        work_unit = self._plant.units[unit]
        script = self._scripts.get(unit)
        if script is not None:
            return machine_truth(work_unit, script, start, end, statements)
        return meter_truth(work_unit, self._loads[unit], start, end)

    def source(self, unit: str) -> Source:
        """What a unit's device measures, without its protocol; raises KeyError."""
        return self._sources[unit]

    def script(self, unit: str) -> Script:
        """The script of a machine; raises KeyError."""
        return self._scripts[unit]

    def faults(self, unit: str) -> Faults:
        """The switch for a unit's faults; raises KeyError."""
        return self._devices[unit].faults

    def _by_connection(self) -> dict[Connection, list[ServedDevice]]:
        groups: dict[Connection, list[ServedDevice]] = {}
        for path, unit in self._plant.units.items():
            group = groups.setdefault(unit.device.connection, [])
            device = self._devices[path]
            if any(other.device_id == device.device_id for other in group):
                raise PlantError(f"{path}: unit_id {device.device_id} is taken on this connection; give each its own")
            group.append(device)
        return groups

    def _load(self, unit: WorkUnit) -> Load:
        if self._replay is not None:
            return self._replay.active
        machines = [script for script in self._scripts.values() if script.unit.path.site == unit.path.site]
        base_w = round(1000 * parameters_of(unit).base_load_kw)
        return SumOfLoads([*machines, PowerTrace([(self.epoch, base_w)])])

    def _source(self, unit: WorkUnit) -> Source:
        path = str(unit.path)
        template = self._templates(unit.device.template)
        rng = Random(f"{self._seed}/{path}/{self.epoch}/registers")  # noqa: S311 - a script, not a secret
        if path in self._scripts:
            return Machine(template, self._scripts[path], rng)
        return Meter(template, self._supply(unit), rng, rollover_kwh=self._rollover_kwh(unit))

    def _supply(self, unit: WorkUnit) -> Supply:
        if self._replay is not None:
            return self._replay.supply
        return supply_of(self._loads[str(unit.path)], parameters_of(unit).power_factor)

    def _rollover_kwh(self, unit: WorkUnit) -> float:
        parameters = parameters_of(unit)
        machines_kw = sum(script.parameters.power_kw for script in self._scripts.values())
        return (machines_kw + parameters.base_load_kw) * parameters.rollover_s / 3600
