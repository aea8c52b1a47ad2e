"""Published state models by name: what their states mean as time categories, and the numbers that profiles give them.

Sources: ISA-TR88.00.02 (PackML) and its OPC UA model OPC 30050; OPC 30060 clause 11.9 (the tobacco machines' profile,
which renumbers); SEMI E10 for equipment states. The meanings are recommendations: a plant overrides them by name.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from shopfloor.machine_state import TimeCategory
from shopfloor.plant import StateMap


class StateModel(StrEnum):
    """A published model, or a profile of it."""

    PACKML = "packml"
    PACKML_TMC = "packml-tmc"
    SEMI_E10 = "semi-e10"


_STOP = TimeCategory.UNPLANNED_STOP
_WAIT = TimeCategory.STARVED

_PACKML: Final[Mapping[str, TimeCategory | None]] = {
    "clearing": _STOP,
    "stopped": _STOP,
    "starting": None,
    "idle": _WAIT,
    "suspended": _WAIT,
    "execute": TimeCategory.RUNNING,
    "stopping": _STOP,
    "aborting": _STOP,
    "aborted": _STOP,
    "holding": _STOP,
    "held": _STOP,
    "unholding": None,
    "suspending": _WAIT,
    "unsuspending": None,
    "resetting": None,
    "completing": None,
    "complete": _WAIT,
}
"""In the order of the standard's numbers, from 1. Held: the cause is inside the machine; suspended: outside it (which
side it does not tell, so ``starved``). Stopped is a stop that wants a reason, since only the calendar or a person knows
of a plan. Idle and complete wait for material or an order; where they mean that there is none, override them."""

_SEMI_E10: Final[Mapping[str, TimeCategory | None]] = {
    "prd": TimeCategory.RUNNING,
    "sby": _WAIT,
    "eng": TimeCategory.PLANNED_STOP,
    "sdt": TimeCategory.PLANNED_STOP,
    "udt": _STOP,
    "nst": TimeCategory.NOT_SCHEDULED,
}
"""Engineering time (trials, qualification) is neither production nor a loss of it: it stays out of OEE, and of our
words only ``planned_stop`` is inside the schedule and outside planned busy time. A plant that sells what it makes
then overrides it with ``running``."""

MEANINGS: Final[Mapping[StateModel, Mapping[str, TimeCategory | None]]] = {
    StateModel.PACKML: _PACKML,
    StateModel.PACKML_TMC: _PACKML,
    StateModel.SEMI_E10: _SEMI_E10,
}
"""Model -> state name -> category; None for a transition, which counts as the state before it."""

CODES: Final[Mapping[StateModel, Mapping[int, str]]] = {
    StateModel.PACKML: dict(enumerate(_PACKML, start=1)),
    StateModel.PACKML_TMC: dict(
        enumerate(
            (
                *("stopped", "resetting", "idle", "starting", "execute", "completing", "complete", "aborting"),
                *("aborted", "stopping", "clearing", "suspending", "suspended", "unsuspending"),
                *("holding", "held", "unholding"),
            )
        )
    ),
    StateModel.SEMI_E10: {},
}
"""Model -> the numbers it publishes; SEMI E10 names states and numbers none."""


def state_map(
    model: StateModel,
    codes: Mapping[int, str] | None = None,
    override: Mapping[str, TimeCategory | None] | None = None,
) -> StateMap:
    """Code -> category. ``codes`` replace the model's numbers, ``override`` the meaning of named states.

    Raises ValueError for a name that the model does not have, and where nobody numbers the states.
    """
    meanings = {**MEANINGS[model], **(override or {})}
    numbered = codes or CODES[model]
    unknown = sorted({*numbered.values(), *(override or {})} - MEANINGS[model].keys())
    if unknown:
        raise ValueError(f"{model} has no state {unknown[0]!r}; it has {', '.join(MEANINGS[model])}")
    if not numbered:
        raise ValueError(f"{model} numbers no states; add codes, e.g. {{model: {model}, codes: {{1: prd, 2: sby}}}}")
    return {code: meanings[name] for code, name in numbered.items()}
