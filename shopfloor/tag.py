"""Tags: the closed canonical list of value names, with kind and unit.

Templates map registers to these names. A name outside the list starts with ``x_``; text ends in ``_text``.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


class TagKind(StrEnum):
    """How a tag's values relate over time: a level, a running total, or a code."""

    GAUGE = "gauge"
    COUNTER = "counter"
    STATE = "state"
    TEXT = "text"


CANONICAL: dict[str, tuple[TagKind, str]] = {
    "state": (TagKind.STATE, ""),
    "unit_mode": (TagKind.STATE, ""),
    "product_code": (TagKind.STATE, ""),
    "alarm_code": (TagKind.STATE, ""),
    "produced": (TagKind.COUNTER, "piece"),
    "good": (TagKind.COUNTER, "piece"),
    "scrap": (TagKind.COUNTER, "piece"),
    "rework": (TagKind.COUNTER, "piece"),
    "heats": (TagKind.COUNTER, "heat"),
    "mass_total_kg": (TagKind.COUNTER, "kg"),
    "energy_kwh": (TagKind.COUNTER, "kWh"),
    "energy_export_kwh": (TagKind.COUNTER, "kWh"),
    "reactive_kvarh": (TagKind.COUNTER, "kvarh"),
    "reactive_export_kvarh": (TagKind.COUNTER, "kvarh"),
    "cycle_time_s": (TagKind.GAUGE, "s"),
    "power_kw": (TagKind.GAUGE, "kW"),
    "reactive_kvar": (TagKind.GAUGE, "kvar"),
    "apparent_kva": (TagKind.GAUGE, "kVA"),
    "power_factor": (TagKind.GAUGE, ""),
    "current_a": (TagKind.GAUGE, "A"),
    "voltage_v": (TagKind.GAUGE, "V"),
    "frequency_hz": (TagKind.GAUGE, "Hz"),
    "temperature_c": (TagKind.GAUGE, "°C"),
    "pressure_bar": (TagKind.GAUGE, "bar"),
    "speed_rpm": (TagKind.GAUGE, "1/min"),
    "mass_kg": (TagKind.GAUGE, "kg"),
}
"""Name -> (kind, unit) of every tag this system gives a meaning to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSpec:
    """What the derivation must know of one tag of one unit, free of registers and transport.

    ``scale`` is the value of one count of an integer register in ``unit`` (stored value = count * scale, exact to
    2^53 counts, so the count is recovered by rounding); ``modulus`` is where an integer counter rolls over, in counts
    (65536 for 16 bits), None for a floating-point register.
    """

    name: str
    kind: TagKind
    unit: str
    scale: float = 1.0
    modulus: int | None = None
