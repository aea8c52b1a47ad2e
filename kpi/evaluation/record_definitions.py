"""Definitions of the KPIs of the additive record, with the formulas of ``kpi.evaluation.formulas``, word for word."""

from typing import Final

from kpi.evaluation.definition import Confidence, Direction, KpiDefinition
from kpi.evaluation.formulas import FORMULAS

UP, DOWN, NONE = Direction.UP, Direction.DOWN, Direction.NONE
HOUSE: Final = "house"
OPEN: Final = None
MANAGER: Final = "management, energy manager"


def iso(number: int, name: str) -> str:
    """A source in ISO 22400-2; the numbers are the order of the standard's list."""
    return f"ISO 22400-2 #{number} {name}"


def _record(
    kpi: str,
    en: str,
    indonesian: str,
    source: str,
    direction: Direction = UP,
    *,
    unit: str = "1",
    low: float | None = 0.0,
    high: float | None = 1.0,
    confidence: Confidence | None = None,
    notes: str = "",
    audience: str = "operator, supervisor, management",
) -> KpiDefinition:
    """A KPI of the additive record: its formula is computed from ``FORMULAS``."""
    formula = FORMULAS[kpi]
    return KpiDefinition(
        id=kpi,
        name={"en": en, "id": indonesian},
        formula=str(formula),
        unit=unit,
        direction=direction,
        elements=formula.elements,
        source=source,
        confidence=confidence or (Confidence.TWO if source.startswith("ISO 22400") else Confidence.HOUSE),
        low=low,
        high=high,
        notes=notes,
        audience=audience,
    )


_TIME: Final = (
    _record(
        "availability",
        "Availability",
        "Ketersediaan",
        iso(8, "Availability"),
        notes="Setup, waiting, missing orders and stops are lost; micro-stops are not (they lower effectiveness).",
    ),
    _record(
        "effectiveness",
        "Effectiveness",
        "Efektivitas",
        iso(9, "Effectiveness"),
        high=OPEN,
        notes="Performance on screens. Shown above 1 and flagged, never clipped.",
    ),
    _record(
        "quality_ratio",
        "Quality ratio",
        "Rasio mutu",
        iso(10, "Quality ratio"),
        notes="Weighted by planned run time, so that products merge and the three factors multiply to the OEE index.",
    ),
    _record(
        "quality_ratio_pieces",
        "Quality ratio (pieces)",
        "Rasio mutu (buah)",
        iso(10, "Quality ratio"),
        notes="GQ / PQ as printed in the standard; with one product it equals quality_ratio.",
    ),
    _record("oee_index", "OEE index", "Indeks OEE", iso(6, "OEE index"), high=OPEN),
    _record(
        "oee_low",
        "OEE, unknown time all lost",
        "OEE, waktu tak diketahui hilang semua",
        HOUSE,
        high=OPEN,
        notes="Lower bound of the OEE index.",
    ),
    _record(
        "oee_high",
        "OEE, unknown time all at best",
        "OEE, waktu tak diketahui terbaik semua",
        HOUSE,
        high=OPEN,
        notes="Upper bound of the OEE index.",
    ),
    _record("coverage", "Coverage", "Cakupan data", HOUSE, NONE, notes="How much of planned busy time is known."),
    _record("unknown_share", "Unknown share", "Porsi waktu tak diketahui", HOUSE, DOWN),
    _record(
        "nee_index",
        "NEE index",
        "Indeks NEE",
        iso(7, "NEE index"),
        high=OPEN,
        notes="(AUPT / PBT) x effectiveness x quality ratio: setup is not a loss.",
    ),
    _record(
        "teep",
        "TEEP",
        "TEEP",
        "house; OEE index x utilization",
        high=OPEN,
        confidence=Confidence.TWO,
        notes="Unknown busy time is taken to be like the known, so TEEP = OEE index x utilization at any coverage.",
    ),
    _record(
        "ooe",
        "OOE",
        "OOE",
        "house; OEE index x PBT / staffed time",
        high=OPEN,
        confidence=Confidence.TWO,
        notes="Null unless the site's policy says that shifts are staffed.",
    ),
    _record("utilization", "Utilization", "Utilisasi", HOUSE, confidence=Confidence.TWO, notes="PBT of all time."),
    _record(
        "speed_loss",
        "Speed loss",
        "Kerugian kecepatan",
        HOUSE,
        DOWN,
        low=OPEN,
        notes="Signed: negative is faster than planned.",
    ),
    _record(
        "worker_efficiency",
        "Worker efficiency",
        "Efisiensi pekerja",
        iso(1, "Worker efficiency"),
        notes="APWT / APAT, both as people stated them.",
    ),
    _record(
        "allocation_ratio",
        "Allocation ratio",
        "Rasio alokasi",
        iso(2, "Allocation ratio"),
        high=OPEN,
        notes="AUBT / AOET; means something where orders are stated for all busy time (flag orders_incomplete).",
    ),
    _record(
        "throughput_rate",
        "Throughput rate",
        "Laju keluaran",
        iso(3, "Throughput rate"),
        unit="quantity/h",
        high=OPEN,
        notes="Per hour of order execution time (AOET).",
    ),
    _record(
        "allocation_efficiency",
        "Allocation efficiency",
        "Efisiensi alokasi",
        iso(4, "Allocation efficiency"),
        notes="AUBT / PBT.",
    ),
    _record(
        "utilization_efficiency",
        "Utilization efficiency",
        "Efisiensi utilisasi",
        iso(5, "Utilization efficiency"),
        notes="APT / AUBT.",
    ),
    _record("setup_ratio", "Setup ratio", "Rasio penyetelan", iso(11, "Setup ratio"), DOWN, notes="AUST / AUPT."),
    _record(
        "technical_efficiency",
        "Technical efficiency",
        "Efisiensi teknis",
        iso(12, "Technical efficiency"),
        notes="APT / (APT + ADET). Parts of the literature swap ADET and ADOT.",
    ),
    _record(
        "production_process_ratio",
        "Production process ratio",
        "Rasio proses produksi",
        iso(13, "Production process ratio"),
        high=OPEN,
        notes="APT / AOET; see allocation_ratio.",
    ),
)

_QUALITY: Final = (
    _record(
        "actual_to_planned_scrap_ratio",
        "Actual to planned scrap ratio",
        "Rasio afkir aktual terhadap rencana",
        iso(14, "Actual to planned scrap ratio"),
        DOWN,
        high=OPEN,
    ),
    _record(
        "first_pass_yield",
        "First pass yield",
        "Hasil lulus pertama",
        iso(15, "First pass yield"),
        notes="GP / IP: good without rework over inspected; rework counts as a fail.",
    ),
    _record("scrap_ratio", "Scrap ratio", "Rasio afkir", iso(16, "Scrap ratio"), DOWN),
    _record("rework_ratio", "Rework ratio", "Rasio pengerjaan ulang", iso(17, "Rework ratio"), DOWN),
)

_MATERIAL: Final = (
    _record(
        "comprehensive_energy_consumption",
        "Comprehensive energy consumption",
        "Konsumsi energi menyeluruh",
        iso(23, "Comprehensive energy consumption"),
        DOWN,
        unit="kWh/quantity",
        high=OPEN,
        notes="Of electricity; other carriers have no meter here. Per produced quantity (gross).",
    ),
    _record("finished_goods_ratio", "Finished goods ratio", "Rasio barang jadi", iso(25, "Finished goods ratio")),
    _record(
        "production_loss_ratio", "Production loss ratio", "Rasio susut produksi", iso(27, "Production loss ratio"), DOWN
    ),
    _record(
        "storage_loss_ratio",
        "Storage and transport loss ratio",
        "Rasio susut simpan dan angkut",
        iso(28, "Storage and transport loss ratio"),
        DOWN,
    ),
    _record("other_loss_ratio", "Other loss ratio", "Rasio susut lain", iso(29, "Other loss ratio"), DOWN),
    _record(
        "equipment_load_ratio",
        "Equipment load ratio",
        "Rasio beban peralatan",
        iso(30, "Equipment load ratio"),
        high=OPEN,
        notes="PQ over what the unit could make in its planned busy time at its rated capacity.",
    ),
)

_COUNT_NOTE: Final = "n is the number of failures begun in the window: intervals cut by its edge are not averaged."
_RELIABILITY: Final = (
    _record(
        "mtbf_s",
        "MTBF",
        "MTBF",
        iso(31, "Mean operating time between failures"),
        unit="s",
        high=OPEN,
        confidence=Confidence.DIVISOR,
        notes=f"Operating time (production and setup) over failures; {_COUNT_NOTE}",
    ),
    _record(
        "mttf_s",
        "MTTF",
        "MTTF",
        iso(32, "Mean time to failure"),
        unit="s",
        high=OPEN,
        confidence=Confidence.DIVISOR,
        notes="Up time (known busy time not down after a failure, waiting included) over failures.",
    ),
    _record(
        "mttr_s",
        "MTTR",
        "MTTR",
        iso(33, "Mean time to restoration"),
        DOWN,
        unit="s",
        high=OPEN,
        confidence=Confidence.DIVISOR,
        notes="The whole time down: waiting for repair, repair and restart.",
    ),
    _record(
        "inherent_availability",
        "Inherent availability",
        "Ketersediaan inheren",
        "house; MTBF / (MTBF + MTTR)",
        confidence=Confidence.TWO,
    ),
    _record(
        "corrective_maintenance_ratio",
        "Corrective maintenance ratio",
        "Rasio pemeliharaan korektif",
        iso(34, "Corrective maintenance ratio"),
        DOWN,
        notes="CMT / (CMT + PMT), by the reasons of stops.",
    ),
)

_ENERGY_SOURCE: Final = "house; ISO 50006 kind of EnPI"
_ENERGY: Final = (
    _record(
        "energy_kwh_per_good",
        "Energy per good unit",
        "Energi per unit baik",
        _ENERGY_SOURCE,
        DOWN,
        unit="kWh/quantity",
        high=OPEN,
    ),
    _record(
        "sec_kwh_per_t",
        "Specific energy consumption",
        "Konsumsi energi spesifik",
        _ENERGY_SOURCE,
        DOWN,
        unit="kWh/t",
        high=OPEN,
        notes="Per ton of good product.",
    ),
    _record(
        "sec_gross_kwh_per_t",
        "Specific energy consumption, gross",
        "Konsumsi energi spesifik kotor",
        _ENERGY_SOURCE,
        DOWN,
        unit="kWh/t",
        high=OPEN,
        notes="Per ton produced, scrap included.",
    ),
    _record("idle_energy_share", "Idle energy share", "Porsi energi saat menganggur", HOUSE, DOWN, audience=MANAGER),
    _record("peak_share", "Peak share", "Porsi energi WBP", HOUSE, DOWN, audience=MANAGER),
    _record(
        "energy_cost",
        "Energy cost",
        "Biaya energi",
        HOUSE,
        DOWN,
        unit="currency",
        high=OPEN,
        audience=MANAGER,
        notes="By the tariff's hours; the reactive charge and the minimum are the month's (reactive_cost, total_cost).",
    ),
    _record(
        "energy_cost_per_t", "Energy cost per ton", "Biaya energi per ton", HOUSE, DOWN, unit="currency/t", high=OPEN
    ),
    _record(
        "energy_cost_per_good",
        "Energy cost per good unit",
        "Biaya energi per unit baik",
        HOUSE,
        DOWN,
        unit="currency/quantity",
        high=OPEN,
    ),
    _record("carbon_kg", "Carbon", "Karbon", "house; grid emission factor", DOWN, unit="kg", high=OPEN),
    _record("carbon_kg_per_t", "Carbon per ton", "Karbon per ton", HOUSE, DOWN, unit="kg/t", high=OPEN),
    _record(
        "carbon_kg_per_good", "Carbon per good unit", "Karbon per unit baik", HOUSE, DOWN, unit="kg/quantity", high=OPEN
    ),
    _record(
        "power_factor",
        "Power factor",
        "Faktor daya",
        "house; mean of the window",
        confidence=Confidence.COMPUTED,
        audience=MANAGER,
    ),
)


RECORD_KPIS: Final = (*_TIME, *_QUALITY, *_MATERIAL, *_RELIABILITY, *_ENERGY)
"""In the order of reports."""
