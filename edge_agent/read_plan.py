"""Registers -> samples, before any IO: the fewest requests that read all values of a device. Pure.

A request reads one run of addresses. Values that share registers are read together; no value is ever split between
requests, because its halves would be of two instants.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from devices.register import RegisterRef, Table
from shopfloor.errors import PlantError

PROTOCOL_REGISTERS: Final = 125
"""Registers that one Modbus reply can carry."""
PROTOCOL_BITS: Final = 2000
"""Coils or discrete inputs that one Modbus reply can carry."""

FUNCTION_CODES: Final = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}
"""The only function codes that leave the agent."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device allows beyond the protocol's own limits."""

    max_registers: int = PROTOCOL_REGISTERS
    """Registers in one request."""
    gap: int = 0
    """The largest hole between values that may be read across; 0 is never."""
    forbidden: tuple[tuple[int, int], ...] = ()
    """Address ranges, both ends inclusive, that must never be read, in any table."""

    def of(self, table: Table) -> int:
        """Addresses of ``table`` that one request may read."""
        return PROTOCOL_BITS if table.of_bits else min(self.max_registers, PROTOCOL_REGISTERS)

    def forbids(self, start: int, end: int) -> bool:
        """Whether [start, end) touches a forbidden address."""
        return any(low < end and start <= high for low, high in self.forbidden)


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One read on the wire, and the values that its reply holds."""

    table: Table
    address: int
    count: int
    """Registers, or bits of a bit table."""
    values: tuple[int, ...]
    """Indices of the refs that were planned."""

    @property
    def function_code(self) -> int:
        """1 to 4."""
        return FUNCTION_CODES[self.table]


@dataclass(frozen=True, slots=True)
class _Block:
    """Values that share registers: [start, end)."""

    start: int
    end: int
    values: tuple[int, ...]


def plan_reads(refs: Sequence[RegisterRef], limits: Limits) -> tuple[ReadRequest, ...]:
    """The fewest requests that read every ref within ``limits``, in order of table and address.

    Starting each request at the first value that is not read yet, and stretching it as far as it may go, is optimal:
    any other request that holds this value ends no later. Raises PlantError for a value that cannot be read at all.
    """
    places = sorted(range(len(refs)), key=lambda index: (refs[index].table, refs[index].address, refs[index].end))
    return tuple(
        request
        for table, indices in groupby(places, key=lambda index: refs[index].table)
        for request in _plan_table(table, _blocks(refs, indices), limits)
    )


def _blocks(refs: Sequence[RegisterRef], indices: Iterable[int]) -> list[_Block]:
    blocks: list[_Block] = []
    for index in indices:
        start, end = refs[index].address, refs[index].end
        last = blocks[-1] if blocks else None
        if last and start < last.end:
            blocks[-1] = _Block(last.start, max(last.end, end), (*last.values, index))
        else:
            blocks.append(_Block(start, end, (index,)))
    return blocks


def _plan_table(table: Table, blocks: list[_Block], limits: Limits) -> list[ReadRequest]:
    runs: list[list[_Block]] = []
    for block in blocks:
        _check(table, block, limits)
        if runs and _may_join(runs[-1], block, limits, limits.of(table)):
            runs[-1].append(block)
        else:
            runs.append([block])
    return [_request(table, run) for run in runs]


def _may_join(run: list[_Block], block: _Block, limits: Limits, most: int) -> bool:
    hole_start = run[-1].end
    return (
        block.end - run[0].start <= most
        and block.start - hole_start <= limits.gap
        and not limits.forbids(hole_start, block.start)
    )


def _request(table: Table, run: list[_Block]) -> ReadRequest:
    start = run[0].start
    return ReadRequest(table, start, run[-1].end - start, tuple(value for block in run for value in block.values))


def _check(table: Table, block: _Block, limits: Limits) -> None:
    place = f"{table} {block.start}..{block.end - 1}"
    if limits.forbids(block.start, block.end):
        raise PlantError(f"{place} is in a forbidden range; remove the tag or the range from the template")
    if block.end - block.start > limits.of(table):
        raise PlantError(f"{place} does not fit one request of {limits.of(table)}; raise max_registers in the template")
