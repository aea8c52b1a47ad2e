"""Registers -> samples: how a device is asked, whatever its protocol."""

from collections.abc import Sequence
from typing import Protocol

from edge_agent.read_plan import ReadRequest
from shopfloor.errors import DeviceRefused

Answer = Sequence[int] | DeviceRefused
"""The registers (or bits) of one request, exactly as many as asked, or the device's refusal of it."""


class Driver(Protocol):
    """One device on a connection that it may share with others.

    A driver only reads. What it returns was checked against the request: what does not fit is never returned.
    """

    async def connect(self) -> None:
        """Connect unless connected. Raises DeviceUnreachable; safe to call from several tasks."""
        ...

    async def read(self, plan: Sequence[ReadRequest]) -> list[Answer]:
        """One answer per request, in order, connecting first where needed.

        Raises DeviceUnreachable (nothing or too late) or ReplyMistrusted (a reply that does not fit); both have
        closed the connection, so that nothing which arrives late can meet a later request.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection. Harmless when closed."""
        ...
