from ingest.liveness import Liveness, OutboxWatch
from ingest.mapping import Source

OLD, NEW = Source("edge-1", "5f0c"), Source("edge-1", "a11e")


def test_an_agent_is_gone_when_it_is_silent_for_too_long():
    liveness = Liveness(silent_after_ms=30_000)
    assert not liveness.alive("edge-1", 0)
    liveness.heard("edge-1", 1_000)
    assert liveness.alive("edge-1", 30_999)
    assert not liveness.alive("edge-1", 31_000)
    assert liveness.silence_ms("edge-1", 31_000) == 30_000
    assert liveness.silence_ms("edge-2", 31_000) is None


def test_a_changed_card_is_no_rival():
    watch = OutboxWatch()
    assert [watch.rivals(source, 0) for source in (OLD, OLD, NEW, NEW)] == [None] * 4


def test_two_live_outboxes_are_told_once():
    watch = OutboxWatch()
    assert [watch.rivals(source, 0) for source in (OLD, NEW, OLD, NEW, OLD)] == [
        None,
        None,
        ("a11e", "5f0c"),
        None,
        None,
    ]


def test_a_card_put_back_later_is_no_rival():
    watch = OutboxWatch(within_ms=60_000)
    assert [watch.rivals(source, time) for source, time in ((OLD, 0), (NEW, 1), (OLD, 70_000))] == [None] * 3
