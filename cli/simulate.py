"""``shopfloor simulate``: a plant's devices, served for others to read."""

import argparse
import asyncio

import msgspec

from cli.environment import data_folder
from cli.plants import load_plant
from cli.signals import stop_on_signal
from devices.library import load as load_template
from shopfloor.clock import SystemClock
from shopfloor.instant import Instant
from shopfloor.plant import Plant
from simulators.factory import Factory


def simulate(arguments: argparse.Namespace) -> int:
    """Serve a plant's devices; ``endpoints.json`` in the data folder tells where."""
    return asyncio.run(_simulate(load_plant(arguments.plant), arguments.seed, arguments.epoch))


async def _simulate(plant: Plant, seed: int, epoch: Instant | None) -> int:
    stop, clock, folder = stop_on_signal(), SystemClock(), data_folder()
    factory = Factory(
        plant,
        seed=seed,
        epoch=clock.now() if epoch is None else epoch,
        clock=clock,
        journal_path=folder / "journal.jsonl",
        templates=load_template,
    )
    endpoints = await factory.start()
    try:
        table = {f"{host}:{port}": f"{to_host}:{to_port}" for (host, port), (to_host, to_port) in endpoints.items()}
        (folder / "endpoints.json").write_bytes(msgspec.json.encode(table))
        print(f"serving {len(plant.units)} units; addresses in {folder / 'endpoints.json'}", flush=True)
        await stop.wait()
    finally:
        await factory.stop()
    return 0
