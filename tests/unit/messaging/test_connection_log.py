import pytest

from messaging.access import BrokerAccess
from messaging.connection_log import DRIVEN_OUT, SHORT_LIFE_S, STEADY_S, ConnectionLog

URL = "mqtt://broker"


@pytest.fixture
def log():
    return ConnectionLog(BrokerAccess(URL, "edge-1", "p"), "edge-1")


def live(log, since, until):
    """One connection; what is said when it comes and when it goes."""
    log.connected(since)
    return log.ready(), log.lost("cut", until)


def test_a_failure_is_said_once_however_often_it_is_tried_and_so_is_the_recovery(log):
    said = [log.no_connection(ConnectionRefusedError()) for _ in range(50)]
    assert [line for line in said if line] == [said[0]]
    log.connected(1)
    assert log.ready() == f"broker {URL} is back"
    assert log.trouble == ""


def test_troubles_that_alternate_are_each_said_once(log):
    said = [log.no_connection(fault()) for _ in range(20) for fault in (ConnectionRefusedError, TimeoutError)]
    assert len([line for line in said if line]) == 2


def test_a_refusal_is_not_followed_by_the_loss_that_it_means(log):
    assert "refused for a reason" in (log.refused("refused for a reason") or "")
    assert log.lost("gone", 1) is None
    assert "hangs up before it answers" in (log.lost("gone", 2) or "")


def test_a_first_connection_is_not_worth_a_line(log):
    assert live(log, 0, 100)[0] is None


def test_connections_that_are_lost_as_soon_as_they_stand_mean_a_second_client_of_that_name(log):
    said = [live(log, at, at + 1) for at in range(0, 40, 2)]
    named = [lost for _, lost in said if lost and "another program connected as edge-1" in lost]
    assert len(named) == 1
    assert named == [said[DRIVEN_OUT - 1][1]]
    assert [line for pair in said[DRIVEN_OUT:] for line in pair if line] == []


def test_it_is_over_when_a_connection_holds(log):
    for at in range(DRIVEN_OUT):
        live(log, at, at + 0.5)
    log.connected(100)
    assert log.ready() is None
    assert log.held(100 + STEADY_S / 2) is None
    assert log.held(100 + STEADY_S) == f"broker {URL} is back"
    assert not log.driven_out


@pytest.mark.parametrize("life_s", [SHORT_LIFE_S, 1_000])
def test_connections_that_last_are_only_lost(log, life_s):
    for number in range(10):
        assert "cut" in (live(log, number * 2_000, number * 2_000 + life_s)[1] or "")
    assert not log.driven_out


def test_a_broker_that_cannot_be_reached_in_between_drives_nobody_out(log):
    for number in range(10):
        live(log, number, number + 0.1)
        log.no_connection(ConnectionRefusedError())
    assert not log.driven_out
