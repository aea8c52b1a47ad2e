"""The names that an InfluxDB holds beside those of ``schema``: where *points* rest there, and for how long.

On registers -> samples -> messages -> points -> facts -> KPIs -> panels this is the one place that spells them.

| here | 1.x | 2.x | 3.x |
|---|---|---|---|
| KEPT | retention policy ``autogen`` of the database | bucket ``DB/autogen`` | database ``DB`` |
| RAW | retention policy ``raw`` of the database | bucket ``DB/raw`` | database ``DB/raw`` |

``db=DB&rp=POLICY`` on ``/write`` and ``/query`` leads to the same place on all of them.
"""

import hashlib
from functools import lru_cache
from typing import Final

from historian.schema import Measurement

KEPT: Final = "autogen"
"""Policy of everything but samples: for ever. It is the database's own, so that a panel need not name it."""
RAW: Final = "raw"
"""Policy of samples, which are dropped when they are older than the raw retention."""
MARKER: Final = "N"
"""A field of every point, the number of its fields: counting it counts points, and a point that is read while it is
being written has fewer. No field of the schema has a capital letter."""

NS: Final = 1_000_000
"""Nanoseconds in a millisecond: InfluxDB counts them, we count milliseconds."""
SLOTS: Final = 775_000
"""Places in a millisecond; the last millisecond of the clock has 775,807 nanoseconds."""
LAST_NS: Final = 2**63 - 2
"""The last nanosecond that InfluxQL can ask for."""


def policy_of(measurement: str) -> str:
    """Where the points of a measurement rest."""
    return RAW if measurement == Measurement.SAMPLES else KEPT


@lru_cache(maxsize=2_048)
def slot_of(owner: str) -> int:
    """The nanosecond within its millisecond at which the points of an owner rest; 0 is that of nobody."""
    return 1 + int.from_bytes(hashlib.blake2b(owner.encode(), digest_size=8).digest()) % SLOTS
