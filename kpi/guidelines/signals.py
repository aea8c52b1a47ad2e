"""What must be recorded for an element of a KPI, in words for people: the missing signal's name."""

from collections.abc import Mapping
from typing import Final

from kpi.evaluation.formulas import APPARENT, COUNTED, FORMULAS, RATED
from kpi.guidelines.shown import SiteShown

Names = Mapping[str, str]


def _named(en: str, indonesian: str) -> Names:
    return {"en": en, "id": indonesian}


_TIME: Final = _named("planned time with known states", "waktu terencana dengan status yang diketahui")
_RUNNING: Final = _named("running time of a machine", "waktu jalan mesin")
_PRODUCED: Final = _named("counter of produced parts", "pencacah barang yang diproduksi")
_GOOD: Final = _named("counter of good parts", "pencacah barang baik")
_METER: Final = _named("energy meter", "meter energi")
_TARIFF: Final = _named("energy meter and a tariff in the plant file", "meter energi dan tarif di berkas pabrik")
_ORDERS: Final = _named("orders with start and end", "pesanan dengan waktu mulai dan selesai")
_FAILURES: Final = _named(
    "a failure in this time: none was recorded", "kerusakan pada waktu ini: tidak ada yang tercatat"
)
RUN_TIME: Final = _named(
    "planned run time per part in the plant file", "waktu proses rencana per barang di berkas pabrik"
)
ONE_UNIT: Final = _named(
    "quantities of one kind: parts, kilograms and heats are not added up",
    "jumlah yang sejenis: buah, kilogram, dan leburan tidak dijumlahkan",
)

SIGNALS: Final[Mapping[str, Names]] = {
    "known_busy_s": _TIME,
    "planned_busy_s": _TIME,
    "calendar_s": _named("any data of this time", "data apa pun pada waktu ini"),
    "production_s": _RUNNING,
    "processing_s": _RUNNING,
    "executing_s": _RUNNING,
    "busy_s": _RUNNING,
    "up_and_repair_s": _RUNNING,
    "planned_run_s": RUN_TIME,
    "produced": _PRODUCED,
    "good": _GOOD,
    "produced_kg": _named("counter of produced parts and their mass", "pencacah barang yang diproduksi dan massanya"),
    "good_kg": _named("counter of good parts and their mass", "pencacah barang baik dan massanya"),
    "staffed_s": _named(
        "staffed time: the plant file does not say that shifts are staffed",
        "waktu berawak: berkas pabrik tidak menyatakan bahwa gilir berawak",
    ),
    "attendance_s": _named("workers' attendance", "kehadiran pekerja"),
    "order_s": _ORDERS,
    "planned_scrap": _named("planned scrap of orders", "afkir rencana per pesanan"),
    "inspected": _named("inspection results", "hasil pemeriksaan"),
    "consumed_kg": _named("weight of the material consumed", "berat bahan yang dipakai"),
    "capacity": _named("rated capacity in the plant file", "kapasitas terpasang di berkas pabrik"),
    "failures": _FAILURES,
    "maintenance_s": _named(
        "maintenance time by stop reasons: none was recorded", "waktu pemeliharaan menurut alasan henti: belum tercatat"
    ),
    "energy_kwh": _METER,
    "energy_cost": _TARIFF,
    "metered_kwh": _TARIFF,
    "carbon_kg": _named(
        "energy meter and a grid factor in the plant file", "meter energi dan faktor emisi jaringan di berkas pabrik"
    ),
    "reactive_kvarh": _named("meter of reactive energy", "meter energi reaktif"),
    APPARENT: _METER,
}
"""Element that may stand below a KPI, or that a KPI needs -> what is missing while it is zero."""


def missing_of(kpi: str, shown: SiteShown) -> Names:
    """What a KPI of the site lacks that came to None."""
    if kpi in COUNTED and "mixed_quantity_units" in shown.flags:
        return ONE_UNIT
    formula = FORMULAS[kpi]
    needed = (formula.needs,) if formula.needs else ()
    for name in (*needed, *formula.under):
        if not shown.element(name):
            return SIGNALS[name]
    return RUN_TIME if kpi in RATED else _PRODUCED
