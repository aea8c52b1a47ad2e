"""What the KPIs mean: one record each, for pages, reports and the reference. Facts to KPIs, in words.

Ids are stable. Formulas of a record's KPIs are those of ``kpi.evaluation.formulas``, word for word; the others
(capability, bill, baseline) say in words what their modules compute.
"""

from collections.abc import Mapping
from typing import Final

from kpi.evaluation.definition import Confidence, Direction, Given, KpiDefinition
from kpi.evaluation.record_definitions import DOWN, HOUSE, MANAGER, NONE, RECORD_KPIS, UP, iso

__all__ = ["KPIS", "NOT_COMPUTED", "Confidence", "Direction", "Given", "KpiDefinition"]

ENGINEER: Final = "quality engineer, supervisor"


def _other(
    given: Given,
    kpi: str,
    names: tuple[str, str],
    formula: str,
    elements: str,
    source: str,
    direction: Direction = UP,
    *,
    unit: str = "1",
    bounds: tuple[float | None, float | None] = (0.0, None),
    confidence: Confidence = Confidence.TWO,
    notes: str = "",
) -> KpiDefinition:
    """A KPI of more than a record; ``elements`` are separated by blanks."""
    return KpiDefinition(
        id=kpi,
        name={"en": names[0], "id": names[1]},
        formula=formula,
        unit=unit,
        direction=direction,
        elements=tuple(elements.split()),
        source=source,
        confidence=confidence,
        low=bounds[0],
        high=bounds[1],
        given=given,
        notes=notes,
        timing="on demand",
        audience=MANAGER if given in (Given.BILL, Given.BASELINE) else ENGINEER,
    )


_NIST: Final = "NIST/SEMATECH e-Handbook 6.1.6"
_ANY: Final = (None, None)
# fmt: off
_CAPABILITY: Final = tuple(
    _other(Given.MEASUREMENTS, kpi, (en, indonesian), formula, elements, source, notes=notes, bounds=bounds)
    for kpi, en, indonesian, formula, elements, source, bounds, notes in (
        ("cm", "Machine capability Cm", "Kapabilitas mesin Cm", "(usl - lsl) / (6 s)", "usl lsl values",
         iso(19, "Machine capability index"), (0.0, None), "s: sample standard deviation of one short run."),
        ("cmk", "Critical machine capability Cmk", "Kapabilitas mesin kritis Cmk",
         "min(usl - mean, mean - lsl) / (3 s)", "usl lsl values", iso(20, "Critical machine capability index"), _ANY,
         ""),
        ("cp", "Process capability Cp", "Kapabilitas proses Cp", "(usl - lsl) / (6 sigma_within)", "usl lsl subgroups",
         iso(21, "Process capability index"), (0.0, None), "Sigma within subgroups; null with one limit."),
        ("cpk", "Critical process capability Cpk", "Kapabilitas proses kritis Cpk",
         "min(usl - mean, mean - lsl) / (3 sigma_within)", "usl lsl subgroups",
         iso(22, "Critical process capability index"), _ANY, "With one limit, that side."),
        ("cpu", "Upper capability Cpu", "Kapabilitas atas Cpu", "(usl - mean) / (3 sigma_within)", "usl subgroups",
         _NIST, _ANY, ""),
        ("cpl", "Lower capability Cpl", "Kapabilitas bawah Cpl", "(mean - lsl) / (3 sigma_within)", "lsl subgroups",
         _NIST, _ANY, ""),
        ("pp", "Process performance Pp", "Kinerja proses Pp", "(usl - lsl) / (6 sigma_overall)", "usl lsl values",
         _NIST, (0.0, None), "Sample standard deviation of all values."),
        ("ppk", "Critical process performance Ppk", "Kinerja proses kritis Ppk",
         "min(usl - mean, mean - lsl) / (3 sigma_overall)", "usl lsl values", _NIST, _ANY, ""),
        ("cpm", "Taguchi capability Cpm", "Kapabilitas Taguchi Cpm",
         "(usl - lsl) / (6 sqrt(sigma_within^2 + (mean - target)^2))", "usl lsl target subgroups", _NIST, (0.0, None),
         "Null without a target."),
        ("cpm_overall", "Taguchi performance", "Kinerja Taguchi",
         "(usl - lsl) / (6 sqrt(sigma_overall^2 + (mean - target)^2))", "usl lsl target values", _NIST, (0.0, None),
         ""),
    )
)
# fmt: on

_OFF_CENTRE: Final = _other(
    Given.MEASUREMENTS,
    "k",
    ("Off-centre k", "Pergeseran pusat k"),
    "|(usl + lsl) / 2 - mean| / ((usl - lsl) / 2)",
    "usl lsl mean",
    _NIST,
    DOWN,
)
_LINES: Final = (
    _other(
        Given.LINE,
        "fall_off_ratio",
        ("Fall-off ratio", "Rasio penyusutan antartahap"),
        "scrap of the step / produced of the first operation",
        "scrap produced",
        iso(18, "Fall-off ratio"),
        DOWN,
        bounds=(0.0, 1.0),
        notes="Serial lines only.",
    ),
    _other(
        Given.LINE,
        "rty",
        ("Rolled throughput yield", "Hasil lulus beruntun"),
        "product of the steps' first pass yields",
        "steps",
        HOUSE,
        bounds=(0.0, 1.0),
    ),
)
# fmt: off
_BILL: Final = tuple(
    _other(Given.BILL, kpi, (en, indonesian), formula, elements, "PLN industry", direction, unit=unit, notes=notes)
    for kpi, en, indonesian, formula, elements, direction, unit, notes in (
        ("peak_cost", "Peak cost", "Biaya WBP", "peak_kwh * off_peak * peak_factor", "peak_kwh", DOWN, "currency", ""),
        ("off_peak_cost", "Off-peak cost", "Biaya LWBP", "off_peak_kwh * off_peak", "off_peak_kwh", DOWN,
         "currency", ""),
        ("excess_kvarh", "Excess reactive energy", "Kelebihan kVArh",
         "max(0, kvarh - free_kvarh_per_kwh * kwh)", "kvarh peak_kwh off_peak_kwh", DOWN, "kvarh", ""),
        ("reactive_cost", "Reactive charge", "Biaya kVArh", "excess_kvarh * kvarh_price", "excess_kvarh", DOWN,
         "currency", "Judged by the calendar month."),
        ("load_hours", "Load hours", "Jam nyala", "(peak_kwh + off_peak_kwh) / contract_kva", "peak_kwh off_peak_kwh",
         UP, "h", ""),
        ("minimum_cost", "Minimum bill", "Rekening minimum", "minimum_hours * contract_kva * off_peak", "contract_kva",
         NONE, "currency", ""),
        ("total_cost", "Bill", "Rekening listrik", "max(energy_cost + reactive_cost, minimum_cost)",
         "energy_cost reactive_cost minimum_cost", DOWN, "currency", ""),
    )
)
# fmt: on
# fmt: off
_BASELINE: Final = tuple(
    _other(Given.BASELINE, kpi, (en, indonesian), formula, elements, "ISO 50006", direction, unit=unit, bounds=bounds)
    for kpi, en, indonesian, formula, elements, direction, unit, bounds in (
        ("predicted_kwh", "Expected energy", "Energi acuan", "intercept * days + slope * x", "x", NONE, "kWh",
         _ANY),
        ("saving_kwh", "Saving against the baseline", "Penghematan terhadap baseline energi",
         "predicted_kwh - actual_kwh", "x energy_kwh", UP, "kWh", _ANY),
        ("enpi", "Energy performance against the baseline", "Kinerja energi terhadap baseline energi",
         "actual_kwh / predicted_kwh", "x energy_kwh", DOWN, "1", (0.0, None)),
    )
)
# fmt: on
_GEOMETRY: Final = _other(
    Given.GEOMETRY,
    "bar_kg_per_m",
    ("Nominal mass of a round bar", "Massa nominal besi bulat"),
    "pi / 4 * diameter_mm^2 * density_kg_per_m3 / 10^6",
    "diameter_mm",
    HOUSE,
    NONE,
    unit="kg/m",
    confidence=Confidence.COMPUTED,
)

KPIS: Final[Mapping[str, KpiDefinition]] = {
    kpi.id: kpi
    for kpi in (
        *RECORD_KPIS,
        *_CAPABILITY,
        _OFF_CENTRE,
        *_LINES,
        *_BILL,
        *_BASELINE,
        _GEOMETRY,
    )
}
"""KPI id -> definition, in the order of reports."""

NOT_COMPUTED: Final[Mapping[str, str]] = {
    iso(24, "Inventory turns"): "needs stock movements; no stock is seen here",
    iso(26, "Integrated goods ratio"): "needs the integrated goods quantity; as the rest of the other ratios it would "
    "hide every error of the material balance",
    "ISO 22400-2 Amendment 1 (energy)": "names and formulas could not be verified; house KPIs stand in",
    "Renewable share": "needs the energy by source; only the grid's meter is read",
    "On-time delivery, lead time": "need orders' due and shipping dates; those are in the order system",
}
"""KPI -> why it is not computed."""
