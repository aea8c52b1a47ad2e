"""``shopfloor check``: offline validation of a plant file."""

import argparse
from pathlib import Path

from cli.plants import load_plant
from shopfloor.plant import Plant

RETENTION_DAYS = 400
BYTES_PER_SAMPLE = 260
"""Measured on the embedded historian with the example plant, facts included (docs/figures.md)."""


def check(arguments: argparse.Namespace) -> int:
    """Print what the plant is, or raise PlantError with every problem."""
    path: Path = arguments.plant
    plant = load_plant(path)
    per_day = samples_per_day(plant)
    budget_gb = per_day * RETENTION_DAYS * BYTES_PER_SAMPLE / 1e9
    print(
        f"{path}: ok - {plant.enterprise}: {len(plant.sites)} site(s), {len(plant.units)} work units, "
        f"{len(plant.agents)} agent(s), {len(plant.guidelines)} guideline(s); "
        f"{per_day:,} samples a day, about {budget_gb:.1f} GB for {RETENTION_DAYS} days"
    )
    return 0


def samples_per_day(plant: Plant) -> int:
    """How many samples the plant's units make in a day."""
    return sum(86_400_000 // unit.device.scan_ms for unit in plant.units.values())
