"""The exception tree. Three questions per error: retry? whose fault? what should a person do?

ShopfloorError
+-- PlantError            the plant file or a template is wrong; never retried; the message names file, line, remedy
+-- DeviceError           a device did not give what was asked
|   +-- DeviceUnreachable     no connection or no answer in time; retry after back-off
|   +-- DeviceRefused         an exception reply (busy, illegal address); the connection stays, retry next cycle
|   +-- ReplyMistrusted       the reply does not fit the request; the connection is closed, retry next cycle
+-- MessageRejected       a message cannot become points; dead-lettered with its reason, never retried
+-- Backpressure          the store is busy or away; keep the data, try again after ``retry_after_s``
+-- OutboxError           the outbox file cannot be used; the operator must act
|   +-- OutboxDamaged         it is no sound outbox; it is set aside, and a new one goes on
+-- ServiceUnavailable    a broker or store cannot be started or reached
"""


class ShopfloorError(Exception):
    """Root of everything this system raises on purpose."""


class PlantError(ShopfloorError):
    """The plant description is wrong. ``problems`` holds one line each: place, fault, remedy."""

    def __init__(self, problems: "list[str] | str") -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class DeviceError(ShopfloorError):
    """A device did not give what was asked."""


class DeviceUnreachable(DeviceError):
    """No connection, or no answer in time."""


class DeviceRefused(DeviceError):
    """The device answered with a Modbus exception."""


class ReplyMistrusted(DeviceError):
    """The reply does not fit the request (function code, length, transaction)."""


class MessageRejected(ShopfloorError):
    """A message cannot become points. ``reason`` is a short stable word for counters."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}")


class Backpressure(ShopfloorError):
    """The store cannot take it now; nothing was lost; try again after ``retry_after_s`` seconds."""

    def __init__(self, detail: str, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(detail)


class OutboxError(ShopfloorError):
    """The outbox file cannot be used."""


class OutboxDamaged(OutboxError):
    """The file is there, but it is no sound outbox."""


class ServiceUnavailable(ShopfloorError):
    """A broker or a store cannot be started or reached."""
