"""The fault harness sees what it must see: each promise that is broken on purpose, and every hostile message."""

import pytest

from cli.plants import load_plant
from tests.soak.works import PLANT
from tests.verdicts import verdict_of

pytestmark = pytest.mark.timeout(300)


def test_a_broken_ack_trim_and_overwrite_are_each_seen() -> None:
    """In one run, told apart: nothing but the trim can lose samples of edge-a, and nothing but the ack those of edge-b.

    Every sample is written besides at a second time (a phantom) and over with another value (wrong).
    """
    ingest = f"ack-before-write={'+'.join(load_plant(PLANT).agents['edge-b'].units)},write-twice,overwrite"
    sabotage = ("edge-a=trim-on-puback", f"ingest-1={ingest}", f"ingest-2={ingest}")
    code, verdict, told = verdict_of(
        *("tests.soak", "--seconds", "6", "--pause", "0.3", "--seed", "3"),
        *("--only", "kill ingest at receipt, then broker"),
        *(part for each in sabotage for part in ("--sabotage", each)),
    )
    assert code == 1, told
    assert verdict["lost_of"].keys() == {"edge-a", "edge-b"}, told
    assert verdict["lost"] == sum(verdict["lost_of"].values()), told
    assert verdict["phantom"] > 0, told
    assert verdict["wrong"] > 0, told


def test_hostile_messages_are_each_counted_and_good_ones_in_between_stored() -> None:
    code, verdict, told = verdict_of("tests.soak.hostile", "--messages", "20000", "--seed", "1")
    assert code == 0, told
    assert verdict["counted"] == verdict["sent_as_letter"] > 10_000
    assert verdict["good_missing"] == verdict["lost"] == verdict["phantom"] == 0
