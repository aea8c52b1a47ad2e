import pytest

from messaging.amqtt_broker import fits
from messaging.rights import INGEST, rights_of
from messaging.topic import (
    AGENT_STATES_FILTER,
    INGEST_MEMBERS_FILTER,
    SAMPLES_FILTER,
    SampleTopic,
    agent_of_state,
    agent_state_topic,
    ingest_member_topic,
    receipt_topic,
)
from shopfloor.equipment import EquipmentPath
from shopfloor.errors import MessageRejected

TOPIC = "v1/logam-jaya/ceper/machining/line-1/cnc-01/samples/edge-ceper-1"


def test_a_topic_reads_back_as_it_was_written():
    topic = SampleTopic(EquipmentPath("logam-jaya", "ceper", "machining", "line-1", "cnc-01"), "edge-ceper-1")
    assert str(topic) == TOPIC
    assert SampleTopic.parse(TOPIC) == topic


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        TOPIC.replace("v1", "v2"),
        TOPIC.replace("samples", "statements"),
        TOPIC.replace("cnc-01", "CNC 01"),
        TOPIC.replace("cnc-01/", ""),
        TOPIC.replace("cnc-01", ""),
        TOPIC.replace("edge-ceper-1", "+"),
        TOPIC + "/more",
        "/" + TOPIC,
    ],
)
def test_any_other_topic_is_refused(wrong):
    with pytest.raises(MessageRejected) as refused:
        SampleTopic.parse(wrong)
    assert refused.value.reason == "wrong_topic"


def test_a_wildcard_is_no_agent():
    for build in (receipt_topic, agent_state_topic):
        with pytest.raises(MessageRejected):
            build("+")


def test_an_agent_state_is_told_from_samples():
    assert agent_of_state(agent_state_topic("edge-1")) == "edge-1"
    assert agent_of_state(TOPIC) is None
    assert agent_of_state("v1/agents/Edge 1") is None


def test_an_agent_writes_under_its_own_name_and_reads_its_own_receipt():
    rights = rights_of(["edge-ceper-1", "edge-2"])
    own, other = rights["edge-ceper-1"], rights["edge-2"]
    assert any(fits(TOPIC, allowed) for allowed in own.write)
    assert not any(fits(TOPIC, allowed) for allowed in other.write)
    assert own.read == ("v1/receipts/edge-ceper-1",)
    assert not any(fits("v1/receipts/edge-2", allowed) for allowed in own.write)
    assert rights[INGEST].read == (SAMPLES_FILTER, AGENT_STATES_FILTER, INGEST_MEMBERS_FILTER)
    assert not any(fits(ingest_member_topic("one"), allowed) for allowed in own.write)


def test_a_filter_wider_than_the_right_does_not_fit():
    assert not fits("#", SAMPLES_FILTER)
    assert not fits("v1/receipts/+", "v1/receipts/edge-1")


def test_a_right_that_ends_in_a_hash_holds_for_everything_below():
    assert fits("v1/ingest", "v1/ingest/#")
    assert fits("v1/ingest/a/b", "v1/ingest/#")
    assert fits("v1/ingest/#", "v1/ingest/#")
    assert not fits("v1/other/a", "v1/ingest/#")
    assert not fits("v1", "v1/ingest/#")
    assert not fits("#", "v1/ingest/#")
