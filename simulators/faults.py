"""What may go wrong between a device and its reader, switchable per unit while the server runs.

Stands at *registers -> samples*, for tests and soaks. Delays are real seconds, whatever clock drives the factory.
"""

from dataclasses import dataclass
from typing import TypeAlias

from pymodbus.constants import ExcCodes


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer at all; nothing is journaled."""


@dataclass(frozen=True, slots=True)
class Slow:
    """Each request waits so long before the device looks at it; those behind it on the connection wait too."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refusing:
    """Each request is answered with an exception code; nothing is journaled."""

    code: ExcCodes = ExcCodes.DEVICE_BUSY


@dataclass(frozen=True, slots=True)
class Late:
    """The true answer, with its own transaction id, leaves so much later; the device goes on with the next request."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Dropping:
    """Each request closes the connection; nothing is journaled."""


Fault: TypeAlias = Silent | Slow | Refusing | Late | Dropping


class Faults:
    """The faults of one unit's device: none, until one is set."""

    __slots__ = ("current",)

    def __init__(self) -> None:
        self.current: Fault | None = None

    def set(self, fault: Fault) -> None:
        """From the next request on the device has this fault."""
        self.current = fault

    def clear(self) -> None:
        """From the next request on the device is well."""
        self.current = None
