import pytest

from ingest.letter_log import MAX_KINDS, LetterLog
from ingest.mapping import DeadLetter, Refusal


def letter(agent="edge-2", reason=Refusal.NOT_OWNER, detail="s/a/l/u belongs to edge-1, not to edge-2"):
    return DeadLetter(topic="t", payload=b"", reason=reason, detail=detail, received=1, agent=agent)


def lines(caplog):
    return [record.message for record in caplog.records]


def test_two_agents_on_one_unit_are_named_with_the_remedy_and_counted(caplog):
    log = LetterLog()
    for _ in range(1_234):
        log.note([letter()])
    assert len(lines(caplog)) == 4
    assert lines(caplog)[0].startswith("edge-2: set aside as dead letters, not_owner: 1 so far")
    assert "s/a/l/u belongs to edge-1, not to edge-2" in lines(caplog)[0]
    assert "one plant file" in lines(caplog)[0]
    assert "1000 so far" in lines(caplog)[3]


def test_each_agent_and_each_reason_is_told(caplog):
    LetterLog().note([letter(), letter("edge-3"), letter(reason=Refusal.FUTURE_TIME), letter(agent=None)])
    assert [line.split(":")[0] for line in lines(caplog)] == ["edge-2", "edge-3", "edge-2", "somebody"]


def test_invented_agents_do_not_fill_the_log(caplog):
    log = LetterLog()
    for number in range(20_000):
        log.note([letter(f"edge-{number}")])
    assert len(lines(caplog)) < MAX_KINDS + 10


@pytest.mark.parametrize("detail", ["x" * 100_000, "a\nb\r\nWARNING forged: line"])
def test_a_line_stays_one_short_line_whatever_the_message_holds(caplog, detail):
    LetterLog().note([letter(detail=detail)])
    [line] = lines(caplog)
    assert len(line) < 600
    assert "\n" not in line
    assert "\r" not in line
