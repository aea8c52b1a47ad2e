from kpi.evaluation.definitions import KPIS, NOT_COMPUTED, Confidence, Given
from kpi.evaluation.evaluate import evaluate
from kpi.evaluation.formulas import FORMULAS
from shopfloor.additive import COLUMNS
from shopfloor.elements import SUMS


def test_every_kpi_of_a_record_has_a_definition_and_every_definition_its_formula() -> None:
    assert {kpi for kpi, found in KPIS.items() if found.given is Given.RECORD} == set(FORMULAS)
    assert set(evaluate({}).kpis) == set(FORMULAS)
    assert all(KPIS[kpi].formula == str(formula) for kpi, formula in FORMULAS.items())


def test_every_kpi_speaks_both_languages_and_says_where_it_comes_from() -> None:
    for kpi, found in KPIS.items():
        assert found.id == kpi
        assert set(found.name) == {"en", "id"}
        assert all((*found.name.values(), found.formula, found.unit, found.source, *found.elements))


def test_the_elements_of_a_record_are_columns_or_sums_of_them() -> None:
    known = {*COLUMNS, *SUMS, "apparent_kvah"}
    for found in KPIS.values():
        if found.given is Given.RECORD:
            assert set(found.elements) <= known


def test_all_34_kpis_of_the_standard_are_computed_or_refused_with_a_reason() -> None:
    numbers = [
        int(source.partition("#")[2].split()[0])
        for source in (*(found.source for found in KPIS.values()), *NOT_COMPUTED)
        if "#" in source
    ]
    assert set(numbers) == set(range(1, 35))


def test_a_formula_reads_like_the_standard() -> None:
    assert KPIS["availability"].formula == "production_s / known_busy_s"
    assert KPIS["nee_index"].formula == "processing_s * good_run_s / (known_busy_s * production_s)"
    assert KPIS["sec_kwh_per_t"].formula == "1000 * energy_kwh / good_kg"
    assert KPIS["energy_cost"].formula == "energy_cost"


def test_ranges_are_open_where_the_standard_leaves_them_open() -> None:
    assert KPIS["availability"].range == "0 .. 1"
    assert KPIS["effectiveness"].range == "0 .."
    assert KPIS["cpk"].range == ".."
    assert KPIS["mtbf_s"].confidence is Confidence.DIVISOR
