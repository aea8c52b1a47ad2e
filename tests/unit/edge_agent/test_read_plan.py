import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import library
from devices.register import Encoding, RegisterRef, Table
from edge_agent.read_plan import Limits, ReadRequest, plan_reads
from shopfloor.errors import PlantError

TYPES = [Encoding.U16, Encoding.U32, Encoding.F64, Encoding.STRING]


def value(table: Table, address: int, kind: Encoding = Encoding.U16, length: int = 5) -> RegisterRef:
    if table.of_bits:
        return RegisterRef(table=table, address=address, type=Encoding.BOOL)
    return RegisterRef(table=table, address=address, type=kind, length=length if kind is Encoding.STRING else None)


def holding(*addresses: int) -> list[RegisterRef]:
    return [value(Table.HOLDING, address) for address in addresses]


def spans(plan: tuple[ReadRequest, ...]) -> list[tuple[int, int]]:
    return [(request.address, request.count) for request in plan]


@st.composite
def maps(draw: st.DrawFn) -> tuple[list[RegisterRef], Limits]:
    """A device whose values do not lie in forbidden places."""
    forbidden = draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 5)), max_size=4))
    limits = Limits(
        draw(st.integers(8, 125)), draw(st.integers(0, 20)), tuple((low, low + more) for low, more in forbidden)
    )
    refs = draw(
        st.lists(
            st.builds(value, st.sampled_from(list(Table)), st.integers(0, 400), st.sampled_from(TYPES)),
            max_size=40,
        )
    )
    return [ref for ref in refs if not limits.forbids(ref.address, ref.end)], limits


def minimum(refs: list[RegisterRef], limits: Limits) -> float:
    """The fewest requests by trying every way to cut the sorted blocks of each table; inf when there is none."""
    return sum(_minimum_of(table, [ref for ref in refs if ref.table is table], limits) for table in Table)


def _minimum_of(table: Table, refs: list[RegisterRef], limits: Limits) -> float:
    blocks: list[tuple[int, int]] = []
    for ref in sorted(refs, key=lambda ref: ref.address):
        if blocks and ref.address < blocks[-1][1]:
            blocks[-1] = (blocks[-1][0], max(blocks[-1][1], ref.end))
        else:
            blocks.append((ref.address, ref.end))
    best = [0.0] + [math.inf] * len(blocks)
    for end in range(1, len(blocks) + 1):
        for start in range(end):
            run = blocks[start:end]
            holes = [(left[1], right[0]) for left, right in itertools.pairwise(run)]
            allowed = (
                run[-1][1] - run[0][0] <= limits.of(table)
                and all(high - low <= limits.gap for low, high in holes)
                and not any(limits.forbids(low, high) for low, high in holes)
            )
            best[end] = min(best[end], best[start] + 1) if allowed else best[end]
    return best[-1]


@given(maps())
def test_every_value_is_read_once_and_whole_within_the_limits_and_with_the_fewest_requests(
    device: tuple[list[RegisterRef], Limits],
) -> None:
    refs, limits = device
    fewest = minimum(refs, limits)
    if math.isinf(fewest):
        with pytest.raises(PlantError, match="does not fit one request"):
            plan_reads(refs, limits)
        return
    plan = plan_reads(refs, limits)
    assert sorted(index for request in plan for index in request.values) == list(range(len(refs)))
    for request in plan:
        assert 1 <= request.count <= limits.of(request.table)
        assert not limits.forbids(request.address, request.address + request.count)
        for ref in (refs[index] for index in request.values):
            assert ref.table is request.table
            assert request.address <= ref.address
            assert ref.end <= request.address + request.count
    assert len(plan) == fewest


def test_without_a_gap_only_neighbours_share_a_request() -> None:
    assert spans(plan_reads(holding(5, 1, 2, 4), Limits())) == [(1, 2), (4, 2)]


def test_a_hole_is_read_across_up_to_the_gap_and_no_further() -> None:
    assert spans(plan_reads(holding(0, 4, 9), Limits(gap=3))) == [(0, 5), (9, 1)]


def test_a_hole_with_a_forbidden_register_is_never_read_across() -> None:
    assert spans(plan_reads(holding(0, 4), Limits(gap=8, forbidden=((2, 2),)))) == [(0, 1), (4, 1)]


def test_a_forbidden_range_next_to_the_values_disturbs_nothing() -> None:
    assert spans(plan_reads(holding(3, 4), Limits(forbidden=((0, 2), (5, 9))))) == [(3, 2)]


def test_a_value_at_the_limit_is_moved_to_the_next_request_not_split() -> None:
    refs = [value(Table.HOLDING, address, Encoding.U32) for address in range(0, 126, 2)]
    assert spans(plan_reads(refs, Limits())) == [(0, 124), (124, 2)]


def test_two_bits_of_one_register_are_read_once() -> None:
    bits = [RegisterRef(table=Table.INPUT, address=7, type=Encoding.BOOL, bit=bit) for bit in (0, 9)]
    assert spans(plan_reads(bits, Limits())) == [(7, 1)]


def test_bit_tables_have_the_limit_of_bits() -> None:
    refs = [value(Table.COIL, address) for address in range(2001)]
    assert spans(plan_reads(refs, Limits(max_registers=10))) == [(0, 2000), (2000, 1)]


def test_a_value_in_a_forbidden_place_is_a_fault_of_the_template() -> None:
    with pytest.raises(PlantError, match="forbidden"):
        plan_reads(holding(5), Limits(forbidden=((5, 5),)))


@pytest.mark.parametrize("name", library.names())
def test_every_template_can_be_planned(name: str) -> None:
    template = library.load(name)
    limits = Limits(template.max_registers, template.gap, template.forbidden)
    plan = plan_reads([tag.ref for tag in template.tags], limits)
    assert sum(len(request.values) for request in plan) == len(template.tags)
    assert {request.function_code for request in plan} <= {1, 2, 3, 4}
