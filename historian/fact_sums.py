"""What stands beside the columns of a fact in an InfluxDB: what boards divide, a field each, 0 where it is nothing.

Beside the *facts* of registers -> samples -> messages -> points -> facts -> KPIs -> panels, for readers that cannot
compute. InfluxQL reads a column in a pass of its own, so eight columns cost eight times one sum of them, and where a
column is absent its sum is null and not 0. No reader of ours sees these fields.
"""

import math
from collections.abc import Mapping
from typing import Final

from historian.point import Number
from historian.schema import FACT_SUMS, Grain

_GRAINS: Final = frozenset(Grain)


def with_sums(measurement: str, fields: Mapping[str, Number | str]) -> Mapping[str, Number | str]:
    """The fields of a point; those of a fact with its sums, zeros too, so that they overwrite what was there."""
    if measurement not in _GRAINS:
        return fields
    numbers = {name: value for name, value in fields.items() if not isinstance(value, str)}
    sums = {
        field: sum(share * numbers[column] for column, share in columns.items() if column in numbers)
        for field, columns in FACT_SUMS.items()
    }
    return {**fields, **{field: float(value) for field, value in sums.items() if math.isfinite(value)}}
