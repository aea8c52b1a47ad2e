import pytest

from messaging.agent_state import AgentState, EdgeLedger, decode_state, encode_state
from shopfloor.clock import Trust
from shopfloor.errors import MessageRejected

LEDGER = EdgeLedger(polled=5, appended=4, confirmed=2, in_outbox=1, evicted=1)


def test_a_state_comes_back_as_it_was() -> None:
    state = AgentState(
        agent="edge-1",
        state="online",
        outbox="5f0c",
        boot="b7e1",
        ledger=LEDGER,
        clock=Trust.STEPPED,
        jumps=3,
        undated=70,
        quarantined=2,
        set_aside=1,
        outbox_bytes=40_960,
    )
    assert decode_state(encode_state(state)) == state


def test_what_an_agent_said_before_it_could_tell_of_its_clock_is_still_understood() -> None:
    old = decode_state(b'{"agent":"edge-1","state":"offline","outbox":"5f0c","boot":"b7e1"}')
    assert (old.clock, old.jumps, old.undated, old.set_aside, old.ledger) == (Trust.SYNCED, 0, 0, 0, None)


def test_a_state_without_trouble_is_as_short_as_before() -> None:
    state = AgentState(agent="edge-1", state="online", outbox="5f0c", boot="b7e1")
    assert encode_state(state) == b'{"agent":"edge-1","state":"online","outbox":"5f0c","boot":"b7e1"}'


@pytest.mark.parametrize("word", ["maybe", 7, None])
def test_a_clock_word_that_is_none_is_refused(word: object) -> None:
    with pytest.raises(MessageRejected, match="bad_state"):
        decode_state(f'{{"agent":"a","state":"online","outbox":"5","boot":"b","clock":{word!r}}}'.encode())
