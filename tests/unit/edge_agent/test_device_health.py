from edge_agent.device_health import Change, DeviceHealth, Health


def tries(health: DeviceHealth, ticks: int) -> list[int]:
    """The ticks at which a device that never answers is asked."""
    asked = []
    for tick in range(ticks):
        if health.due():
            asked.append(tick)
            health.lost("silent")
    return asked


def test_a_dead_device_is_asked_ever_more_rarely_up_to_the_cap() -> None:
    assert tries(DeviceHealth(most_ticks=8), 40) == [0, 1, 3, 7, 15, 23, 31, 39]


def test_a_slow_scan_is_tried_at_every_tick() -> None:
    assert tries(DeviceHealth.for_scan(900_000), 5) == [0, 1, 2, 3, 4]


def test_a_refusal_is_a_failure_without_back_off() -> None:
    health = DeviceHealth(most_ticks=8)
    for _ in range(5):
        assert health.due()
        health.refused("busy")
    assert health.state is Health.FAILING
    assert health.failures == 5


def test_failure_and_recovery_are_each_told_once() -> None:
    health = DeviceHealth(most_ticks=1)
    told = [
        health.answered(),
        health.lost("a"),
        health.lost("b"),
        health.refused("c"),
        health.answered(),
        health.answered(),
    ]
    assert told == [None, Change.FAILED, None, None, Change.RECOVERED, None]
    assert (health.failures, health.recoveries, health.last_error) == (3, 1, "")


def test_a_device_that_was_never_there_is_told_once_too() -> None:
    assert DeviceHealth().lost("no connection") is Change.FAILED


def test_after_recovery_the_back_off_starts_again_from_one_tick() -> None:
    health = DeviceHealth(most_ticks=8)
    tries(health, 8)
    health.answered()
    assert tries(health, 4) == [0, 1, 3]
