"""Yields: how much of what went in came out right, at the first pass and over several steps. Ratios 0..1."""

import math
from collections.abc import Iterable

from kpi.refusal import BadInput, amount


def first_pass_yield(first_pass_good: float, inspected: float) -> float | None:
    """GP / IP of ISO 22400-2: parts that were good without rework over the parts inspected. None when none were.

    Raises BadInput for negative quantities, and for more good parts than inspected ones.
    """
    return _share("first_pass_good", first_pass_good, "inspected", inspected)


def final_yield(good: float, produced: float) -> float | None:
    """Good parts over produced ones, reworked parts that became good among them. None when none were produced."""
    return _share("good", good, "produced", produced)


def rolled_throughput(steps: Iterable[float | None]) -> float | None:
    """Rolled throughput yield: the chance that a part passes every step at once, the product of the steps' yields.

    None without steps, or when a step's yield is undefined (0/0). Raises BadInput for a yield outside 0..1.
    """
    yields = list(steps)
    for number, step in enumerate(yields, start=1):
        if step is not None and not 0 <= step <= 1:
            raise BadInput(f"the yield of step {number} is {step!r}; give a ratio from 0 to 1, not a percentage")
    if not yields or None in yields:
        return None
    return math.prod(step for step in yields if step is not None)


def _share(part_name: str, part: float, whole_name: str, whole: float) -> float | None:
    if amount(part_name, part) > amount(whole_name, whole):
        raise BadInput(f"{part_name} {part:g} is more than {whole_name} {whole:g}; correct the counts")
    return part / whole if whole else None
