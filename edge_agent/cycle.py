"""Registers -> samples: one cycle's answers become the values of all tags, each with its quality. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devices.codec import Decoder, decoder
from devices.template import Template
from edge_agent.driver import Answer
from edge_agent.read_plan import Limits, ReadRequest, plan_reads
from shopfloor.errors import DeviceRefused
from shopfloor.quality import COMM_LOST, Quality, Reason, Status
from shopfloor.sample import Value

REFUSED = Status(Quality.BAD, Reason.NOT_AVAILABLE)
"""The device answered this tag's request with an exception."""
OUT_OF_RANGE = Status(Quality.UNCERTAIN, Reason.OUT_OF_RANGE)
"""A number, but not one that the template holds plausible."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a tag's registers stand in the answers."""

    tag: str
    answer: int
    start: int
    end: int
    decode: Decoder
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cycle:
    """All that one poll of a device needs, worked out once: what to read and how to understand it."""

    plan: tuple[ReadRequest, ...]
    slots: tuple[_Slot, ...]
    lost: Mapping[str, Status]
    """The status of every tag when the device does not answer."""

    @classmethod
    def of(cls, template: Template) -> "Cycle":
        """The cycle of a template. Raises PlantError when it cannot be read."""
        limits = Limits(template.max_registers, template.gap, template.forbidden)
        plan = plan_reads([tag.ref for tag in template.tags], limits)
        slots = tuple(
            _slot(template, index, answer, request) for answer, request in enumerate(plan) for index in request.values
        )
        return cls(plan, slots, dict.fromkeys((tag.spec.name for tag in template.tags), COMM_LOST))

    def decode(self, answers: Sequence[Answer]) -> tuple[dict[str, Value], dict[str, Status]]:
        """Values by tag, and the status of the tags that are not GOOD. A BAD tag has no value."""
        values: dict[str, Value] = {}
        status: dict[str, Status] = {}
        for slot in self.slots:
            answer = answers[slot.answer]
            if isinstance(answer, DeviceRefused):
                status[slot.tag] = REFUSED
                continue
            value = slot.decode(answer[slot.start : slot.end])
            if isinstance(value, Status):
                status[slot.tag] = value
                continue
            values[slot.tag] = value
            if not isinstance(value, str) and not slot.low <= value <= slot.high:
                status[slot.tag] = OUT_OF_RANGE
        return values, status


def _slot(template: Template, index: int, answer: int, request: ReadRequest) -> _Slot:
    tag = template.tags[index]
    low, high = tag.range or (float("-inf"), float("inf"))
    start = tag.ref.address - request.address
    return _Slot(tag.spec.name, answer, start, start + tag.ref.width, decoder(tag.ref), low, high)
