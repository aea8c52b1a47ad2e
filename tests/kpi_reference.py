"""The text of ``docs/kpis.md``: every KPI, element, flag and policy, printed from the records behind them."""

from collections.abc import Iterable, Mapping

from kpi.evaluation.definitions import KPIS, NOT_COMPUTED, Given, KpiDefinition
from kpi.evaluation.flags import CAPABILITY_FLAGS, ENERGY_FLAGS, FLAGS, ITEM_FLAGS
from kpi.evaluation.formulas import APPARENT
from kpi.evaluation.losses import CATEGORY_NAMES
from shopfloor.additive import COLUMNS
from shopfloor.elements import SUMS
from shopfloor.machine_state import TimeCategory

HEAD = """\
# KPIs: what each number means

Printed from the code by `python -m tests.generated`; edit the records, not this page. Formulas are written in element
names and are the ones that are computed. Ratios are 0 to 1 everywhere but on screens. A KPI whose denominator is zero
is null: no data is neither 0 % nor perfect. Facts are merged first and KPIs computed last, so a number is the same at
any zoom and percentages are never averaged. The normative text of ISO 22400-2 was not at hand: formulas come from
sources that derive from it, and *confidence* says how many agree. For readers that cannot compute, the facts engine
publishes them in the store under the same ids: [decision 0030](decisions/0030-what-is-published.md).
"""

GIVEN: Mapping[Given, str] = {
    Given.RECORD: "KPIs of any unit and window",
    Given.MEASUREMENTS: "Capability, from measured values",
    Given.LINE: "KPIs of a serial line's steps",
    Given.BILL: "A calendar month's electricity bill",
    Given.BASELINE: "Energy against a baseline",
    Given.GEOMETRY: "Nominal mass",
}

ISO_ELEMENT: Mapping[TimeCategory, tuple[str, str, str]] = {
    TimeCategory.RUNNING: ("APT", "yes", "value-adding, at whatever speed"),
    TimeCategory.MICRO_STOP: ("APT (house; ADET by the standard's words)", "yes", "lowers effectiveness"),
    TimeCategory.SETUP: ("AUST", "yes", "a loss of availability, none of NEE"),
    TimeCategory.STARVED: ("ADET", "yes", "waiting, never a failure"),
    TimeCategory.BLOCKED: ("ADET", "yes", "waiting, never a failure"),
    TimeCategory.UNPLANNED_STOP: ("ADET", "yes", "longer than the micro-stop threshold"),
    TimeCategory.NO_ORDER: ("ADOT", "yes", "unless the site's policy plans it"),
    TimeCategory.UNKNOWN: ("-", "yes", "in PBT, kept out of the ratios; bounds the OEE index"),
    TimeCategory.PLANNED_STOP: ("planned downtime", "no", "breaks, planned maintenance"),
    TimeCategory.NOT_SCHEDULED: ("outside POT", "no", "no shift"),
}

POLICIES = """\
## Policies: where the standard leaves a choice

| policy | choices | effect |
|---|---|---|
| `no_order` (site) | `loss` (default), `planned` | time without an order: ADOT, inside PBT, or planned stop |
| `unscheduled_run` (site) | `outside` (default), `counted` | running outside PBT: kept beside, or counted in |
| `staffed` (site) | `unknown` (default), `shifts` | base of OOE: none (null), or all time within shifts |
| `micro_stop_s` (unit, dated) | seconds | stops up to it are production time; OEE is the same at any value |
| `retrip_s` (unit) | seconds, default 300 | a failure that begins sooner after the last one is the same failure |
| `startup_s` (unit) | seconds, default 0 | scrap so soon after a setup or stop is a start-up loss |

- **Precedence of a second's category:** not_scheduled, planned_stop, unknown, a person's statement, the machine's
  state, inference from a counter or a gauge.
- **TEEP and OOE** take unknown busy time to be like the known: TEEP = OEE index x utilization holds at any coverage.
- **Failures** are stops whose reason says so, and unplanned stops over the threshold without any reason (flagged).
  n is the number begun in the window; intervals that its edge cuts are not averaged. Operating time is production
  (micro-stops in it) and setup; up time adds waiting and missing orders. No failure: null and `no_failures`.
- **Good quantity** may include reworked parts when a counter counts it; where it follows from produced less scrap and
  rework it is first-pass good.
- **Quantities of different units** (pieces, kilograms, heats) are never added: their KPIs are null in a mixed record.
- **Energy and pieces counted across a gap** are `unattributed_*`: in totals, not in ratios.
- **Waterfall:** PBT less setup, failure, other stops, starved, blocked, no order, unknown, micro-stops, speed (signed),
  start-up scrap and quality is good run time, exactly. Without PRI an `unrated` bar stands in place of speed.
- **Six big losses:** breakdown is time down after failures; waiting, missing orders, other stops and unknown time
  are none of the six and stand apart.
"""


def reference() -> str:
    """The whole page."""
    kpis = "\n".join(_kpis(heading, given) for given, heading in GIVEN.items())
    return "\n".join((HEAD, kpis, _not_computed(), _elements(), _categories(), POLICIES, _flags()))


def _kpis(heading: str, given: Given) -> str:
    rows = [_kpi(found) for found in KPIS.values() if found.given is given]
    columns = (
        "id",
        "name (en / id)",
        "formula",
        "unit",
        "range",
        "better",
        "elements",
        "source",
        "confidence",
        "notes",
    )
    return f"## {heading}\n\n{_table(columns, rows)}"


def _kpi(found: KpiDefinition) -> tuple[str, ...]:
    better = {"up": "higher", "down": "lower", "none": "-"}[found.direction]
    return (
        f"`{found.id}`",
        f"{found.name['en']} / {found.name['id']}",
        f"`{found.formula}`",
        found.unit,
        found.range,
        better,
        ", ".join(found.elements),
        found.source,
        found.confidence,
        found.notes,
    )


def _not_computed() -> str:
    return f"## What is not computed, and why\n\n{_table(('KPI', 'reason'), NOT_COMPUTED.items())}"


def _elements() -> str:
    sums = [(f"`{name}`", f"`{total}`", total.meaning) for name, total in SUMS.items()]
    sums.append(
        (f"`{APPARENT}`", "`sqrt(energy_kwh^2 + reactive_kvarh^2)`", "apparent energy of the mean power factor")
    )
    columns = [(f"`{name}`", column.unit, column.merge, column.meaning) for name, column in COLUMNS.items()]
    return (
        "## Elements\n\nColumns of the additive record, and how two records' values become one:\n\n"
        f"{_table(('column', 'unit', 'merge', 'meaning'), columns)}\n"
        f"Sums of columns, in which formulas are written:\n\n{_table(('element', 'sum', 'meaning'), sums)}"
    )


def _categories() -> str:
    rows = [
        (
            f"`{category}`",
            f"{CATEGORY_NAMES[category]['en']} / {CATEGORY_NAMES[category]['id']}",
            *ISO_ELEMENT[category],
        )
        for category in TimeCategory
    ]
    columns = ("category", "name (en / id)", "ISO 22400-2 element", "in PBT", "note")
    return f"## Time categories and the standard's elements\n\n{_table(columns, rows)}"


def _flags() -> str:
    of = {"record": FLAGS, "item": ITEM_FLAGS, "energy": ENERGY_FLAGS, "characteristic": CAPABILITY_FLAGS}
    rows = [(f"`{flag}`", kind, text) for kind, flags in of.items() for flag, text in flags.items()]
    return f"## Flags\n\n{_table(('flag', 'of', 'meaning'), rows)}"


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = tuple(columns)
    lines = [names, ("---",) * len(names), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
