"""Published state models map by name, whatever numbers a profile gives them."""

import pytest

from shopfloor.machine_state import TimeCategory
from shopfloor.state_models import CODES, MEANINGS, StateModel, state_map


def test_packml_numbers_are_those_of_the_standard() -> None:
    numbers = {name: code for code, name in CODES[StateModel.PACKML].items()}
    assert (numbers["clearing"], numbers["stopped"], numbers["idle"], numbers["execute"]) == (1, 2, 4, 6)
    assert (numbers["aborted"], numbers["held"], numbers["resetting"], numbers["complete"]) == (9, 11, 15, 17)
    assert sorted(numbers.values()) == list(range(1, 18))


def test_the_tobacco_profile_renumbers_the_same_seventeen_states() -> None:
    numbers = {name: code for code, name in CODES[StateModel.PACKML_TMC].items()}
    assert numbers.keys() == MEANINGS[StateModel.PACKML].keys()
    assert (numbers["stopped"], numbers["execute"], numbers["aborted"], numbers["held"]) == (0, 4, 8, 15)
    assert sorted(numbers.values()) == list(range(17))


@pytest.mark.parametrize("model", [StateModel.PACKML, StateModel.PACKML_TMC])
def test_states_mean_the_same_in_every_profile(model: StateModel) -> None:
    meanings = {CODES[model][code]: category for code, category in state_map(model).items()}
    assert meanings["execute"] is TimeCategory.RUNNING
    assert {meanings[name] for name in ("held", "holding", "aborted", "clearing", "stopped")} == {"unplanned_stop"}
    assert {meanings[name] for name in ("suspended", "suspending", "idle", "complete")} == {"starved"}
    on_the_way = {name for name, category in meanings.items() if category is None}
    assert on_the_way == {"starting", "completing", "resetting", "unholding", "unsuspending"}


def test_a_renumbered_profile_maps_by_names_and_may_override_them() -> None:
    mapped = state_map(
        StateModel.PACKML,
        {0: "stopped", 4: "execute", 8: "held"},
        {"held": TimeCategory.BLOCKED, "stopped": None},
    )
    assert mapped == {0: None, 4: TimeCategory.RUNNING, 8: TimeCategory.BLOCKED}


def test_semi_e10_maps_by_name_and_keeps_engineering_out_of_oee() -> None:
    mapped = state_map(StateModel.SEMI_E10, dict(enumerate(("prd", "sby", "eng", "sdt", "udt", "nst"))))
    assert list(mapped.values()) == [
        "running", "starved", "planned_stop", "planned_stop", "unplanned_stop", "not_scheduled",
    ]  # fmt: skip


def test_a_model_without_numbers_wants_codes() -> None:
    with pytest.raises(ValueError, match="semi-e10 numbers no states; add codes"):
        state_map(StateModel.SEMI_E10)


@pytest.mark.parametrize(("codes", "override"), [({1: "exceute"}, {}), (None, {"exceute": TimeCategory.RUNNING})])
def test_a_name_that_the_model_does_not_have_is_refused(
    codes: dict[int, str] | None, override: dict[str, TimeCategory | None]
) -> None:
    with pytest.raises(ValueError, match="packml has no state 'exceute'; it has clearing, stopped"):
        state_map(StateModel.PACKML, codes, override)
