"""How long a unit works between failures and how long it is down after one, over any merged record.

A window's edge cuts intervals between failures: a mean of whole intervals would forget the longest. So the sums of time
in the window stand over the number of failures that *began* in it, and a window without failures has no mean at all,
only the time that it went without one. Which failures count is decided where stops are judged: equipment failures by
reason, or unplanned stops over the threshold that nobody explained (``assumed``); micro-stops, waiting and planned
stops never; a re-trip within the plan's ``retrip_s`` is the same failure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kpi.evaluation.evaluate import evaluate


@dataclass(frozen=True, slots=True)
class Reliability:
    """Reliability of one record, in seconds."""

    failures: float
    """n: failures that began in the window."""
    assumed: float
    """Those of them that no reason confirms."""
    mtbf_s: float | None
    """Operating time (production and setup) / n."""
    mttf_s: float | None
    """Up time (known busy time not down after a failure) / n."""
    mttr_s: float | None
    """Whole time down after failures / n: waiting for repair, repair, restart."""
    inherent_availability: float | None
    """MTBF / (MTBF + MTTR)."""
    without_failure_s: float | None
    """With n = 0: the operating time that passed without one, a lower bound to think with, not an MTBF."""


def reliability(elements: Mapping[str, float]) -> Reliability:
    """Reliability of a merged record; every mean is None when no failure began in it."""
    report = evaluate(elements)
    failures = elements.get("failures", 0.0)
    return Reliability(
        failures=failures,
        assumed=elements.get("assumed_failures", 0.0),
        mtbf_s=report.kpis["mtbf_s"],
        mttf_s=report.kpis["mttf_s"],
        mttr_s=report.kpis["mttr_s"],
        inherent_availability=report.kpis["inherent_availability"],
        without_failure_s=None if failures else report.elements["processing_s"],
    )
