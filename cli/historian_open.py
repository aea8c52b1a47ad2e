"""The store that the environment names, for every command that reads or writes it."""

import os

from cli.environment import data_folder
from historian.connect import connect
from historian.historian import Historian


def historian() -> Historian:
    """The store that the environment names."""
    return connect(os.environ.get("SHOPFLOOR_HISTORIAN", str(data_folder() / "historian")))
