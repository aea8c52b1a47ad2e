import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.mapping import FUTURE_MS, Judge, Refusal, Source, dirty_spans
from messaging.payload import MAX_MESSAGE_BYTES, Fault
from shopfloor.instant import HOUR, QUARTER

NOON = 1_763_830_000_000
HERE = Source("edge-ceper-1", "5f0c")


@pytest.fixture
def judge(plant):
    judge = Judge(plant)
    return lambda message, now=NOON: judge.judge(message.topic, message.payload, now)


def reasons(judgement):
    return [letter.reason for letter in judgement.letters]


def test_good_samples_pass_with_their_place_in_the_outbox(judge, say):
    judgement = judge(say(7, 8, low=5))
    assert (judgement.source, judgement.low, judgement.oldest_t) == (HERE, 5, NOON)
    assert [seq for seq, _ in judgement.good] == [7, 8]
    assert judgement.letters == ()


def test_nothing_that_a_message_brings_is_settled_by_its_own_word(judge, say):
    assert judge(say(7, 8, low=2**50)).low == 7


def test_a_wrong_sample_is_a_letter_of_its_own(judge, say):
    judgement = judge(say(7, {"seq": 8, "t": NOON, "v": {"state": "on"}}, 9))
    assert [seq for seq, _ in judgement.good] == [7, 9]
    [letter] = judgement.letters
    assert (letter.reason, letter.agent, letter.outbox, letter.seq) == (Fault.WRONG_TYPE, *HERE, 8)
    assert json.loads(letter.payload)["v"] == {"state": "on"}


@pytest.mark.parametrize("unit", ["ceper/machining/line-1/cnc-99", "solo/machining/line-1/cnc-01"])
def test_an_unknown_unit_is_refused_and_still_settled(judge, say, unit):
    judgement = judge(say(7, 8, unit=unit))
    assert judgement.good == ()
    assert reasons(judgement) == [Refusal.UNKNOWN_UNIT] * 2
    assert list(judgement.settled_without_store) == [7, 8]


def test_another_enterprise_is_unknown(judge, say):
    topic = "v1/baja-lain/ceper/machining/line-1/cnc-01/samples/edge-ceper-1"
    assert reasons(judge(say(7, topic=topic))) == [Refusal.UNKNOWN_UNIT]


def test_an_agent_that_does_not_own_the_unit_is_refused(judge, say):
    judgement = judge(say(7, agent="edge-other"))
    assert reasons(judgement) == [Refusal.NOT_OWNER]
    assert judgement.source == Source("edge-other", "5f0c")


def test_an_agent_cannot_settle_the_samples_of_another(judge, say):
    message = say(7, agent="edge-other", topic=say(7).topic)
    judgement = judge(message)
    assert (judgement.source, reasons(judgement)) == (None, [Fault.FOREIGN_AGENT])
    assert list(judgement.settled_without_store) == []


def test_a_source_time_far_ahead_is_refused_alone(judge, say):
    ahead = {"seq": 8, "t": NOON + FUTURE_MS + 1, "v": {"state": 1}}
    edge = {"seq": 9, "t": NOON + FUTURE_MS, "v": {"state": 1}}
    judgement = judge(say(7, ahead, edge))
    assert [seq for seq, _ in judgement.good] == [7, 9]
    assert reasons(judgement) == [Refusal.FUTURE_TIME]


def test_an_agent_without_the_time_is_held_apart_and_one_that_stepped_is_stored(judge, say):
    assert reasons(judge(say(7, clock="unsynced"))) == [Refusal.CLOCK_UNSYNCED]
    assert reasons(judge(say(7, clock="stepped"))) == []


def test_a_wrong_topic_is_kept_whole(judge, say):
    message = say(7, topic="v1/logam-jaya/ceper/samples/edge-ceper-1")
    judgement = judge(message)
    [letter] = judgement.letters
    assert (letter.reason, letter.payload, letter.seq) == (Fault.WRONG_TOPIC, message.payload, None)


def test_an_oversized_message_is_refused_sample_by_sample(judge, say):
    judgement = judge(say(7, 8, padding="x" * MAX_MESSAGE_BYTES))
    assert reasons(judgement) == [Fault.OVERSIZED] * 2
    assert judgement.source == HERE
    assert judgement.low == 0


def test_a_resend_is_the_same_letter_and_another_message_another(judge, say):
    wrong = {"seq": 8, "t": 0, "v": {"state": 1}}
    first, again = (judge(say(wrong, mono_ms=mono)).letters[0] for mono in (1, 2))
    assert first.identity == again.identity
    garbage = [judge(type(say(7))(say(7).topic, payload)).letters[0].identity for payload in (b"{", b"{", b"[")]
    assert garbage[0] == garbage[1] != garbage[2]


@given(st.binary(max_size=100), st.text(max_size=60))
def test_whatever_comes_it_is_judged_and_kept(plant, payload, topic):
    judgement = Judge(plant).judge(topic, payload, NOON)
    assert len(judgement.letters) == 1
    assert judgement.good == ()


@given(st.lists(st.integers(0, 3 * HOUR)))
def test_dirty_spans_hold_every_time_and_bridge_no_quarter(times):
    spans = dirty_spans(times)
    assert all(any(start <= time < end for start, end in spans) for time in times)
    assert all(later[0] - earlier[1] >= QUARTER for earlier, later in pairwise(spans))
    assert {start for start, _ in spans} <= set(times)
    assert {end - 1 for _, end in spans} <= set(times)


def test_a_backlog_beside_live_samples_does_not_dirty_the_time_between():
    assert dirty_spans([NOON, NOON - 8 * HOUR, NOON + 1_000]) == [
        (NOON - 8 * HOUR, NOON - 8 * HOUR + 1),
        (NOON, NOON + 1_001),
    ]
