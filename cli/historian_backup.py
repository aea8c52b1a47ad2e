"""``shopfloor historian backup | restore | counts``: the files that this machine keeps, copied while they are used.

The embedded store with all its months, and the dead letters. An InfluxDB has a backup of its own (deploy/backup).
"""

import argparse
import os
from pathlib import Path

import msgspec

from cli.environment import data_folder
from cli.historian_open import historian
from historian.connect import folder_of
from historian.snapshot import copy_file, copy_folder, counts
from shopfloor.errors import PlantError

STORE = "store"
LETTERS = "dead_letters.db"


def backup(arguments: argparse.Namespace) -> int:
    """Copy store and dead letters into a folder; what is copied is checked and told."""
    arguments.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _copy(_folder(), arguments.folder / STORE, data_folder() / LETTERS, arguments.folder / LETTERS)


def restore(arguments: argparse.Namespace) -> int:
    """The way back, into places where nothing is."""
    if not arguments.folder.is_dir():
        raise PlantError(f"{arguments.folder} is no folder; give the one that 'shopfloor historian backup' wrote")
    kept = arguments.folder / STORE
    folder = _folder()
    if folder is not None and not kept.is_dir():
        raise PlantError(f"{kept} is not there: the backup is of a plant whose store is not embedded")
    return _copy(kept if folder else None, folder, arguments.folder / LETTERS, data_folder() / LETTERS)


def told_counts(arguments: argparse.Namespace) -> int:
    """Print how many points each measurement has, as JSON."""
    store = historian()
    try:
        print(msgspec.json.encode(counts(store)).decode())
    finally:
        store.close()
    return 0


def _copy(source: Path | None, target: Path | None, letters: Path, kept_letters: Path) -> int:
    if source is not None and target is not None:
        copies = copy_folder(source, target)
        print(f"{target}: {len(copies)} files, {sum(copy.stat().st_size for copy in copies):,} bytes", flush=True)
    if letters.is_file():
        kept_letters.parent.mkdir(parents=True, exist_ok=True)
        print(f"{copy_file(letters, kept_letters)}: dead letters", flush=True)
    return 0


def _folder() -> Path | None:
    """Where the embedded store is; None for another kind of store."""
    return folder_of(os.environ.get("SHOPFLOOR_HISTORIAN", str(data_folder() / "historian")))
