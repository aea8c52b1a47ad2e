"""``shopfloor historian init``: the store is made and set right, and told to be so."""

import argparse
import os
from collections.abc import Iterator

from cli.check import samples_per_day
from cli.environment import data_folder
from cli.plants import load_plant
from historian.connect import connect
from historian.influx_access import SCHEMES, InfluxAccess
from historian.influx_setup import DAY, FOREVER, set_up


def init(arguments: argparse.Namespace) -> int:
    """Print each step, found or done; 0 when the store is ready."""
    url = os.environ.get("SHOPFLOOR_HISTORIAN", str(data_folder() / "historian"))
    if arguments.plant is not None:
        plant = load_plant(arguments.plant)
        kept = arguments.raw_retention_ms
        per_day = samples_per_day(plant)
        whole = "kept for ever" if kept == FOREVER else f"{per_day * kept // DAY:,} when the raw retention is full"
        print(f"{arguments.plant}: {len(plant.units)} work units, {per_day:,} samples a day, {whole}", flush=True)
    for line in _steps(url, arguments.raw_retention_ms):
        print(line, flush=True)
    return 0


def _steps(url: str, raw_retention_ms: int) -> Iterator[str]:
    if url.partition("://")[0] in SCHEMES:
        yield from set_up(InfluxAccess.of(url), raw_retention_ms)
    else:
        connect(url).close()
        yield f"{url}: the embedded store is ready; it keeps everything for ever"
