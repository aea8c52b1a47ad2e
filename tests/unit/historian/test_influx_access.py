"""The historian's URL and secrets: what may be written, what is refused, and that no secret is told."""

import pytest

from historian.connect import connect
from historian.influx_access import InfluxAccess
from shopfloor.errors import ServiceUnavailable

SECRETS = {
    "SHOPFLOOR_HISTORIAN_TOKEN": "tok-7",
    "SHOPFLOOR_HISTORIAN_USERNAME": "ingest",
    "SHOPFLOOR_HISTORIAN_PASSWORD": "pass-7",
    "SHOPFLOOR_HISTORIAN_ORG": "plant",
    "SHOPFLOOR_HISTORIAN_CA": "/etc/ca.pem",
}


def test_a_url_and_the_environment_say_everything() -> None:
    access = InfluxAccess.of("https://db.plant.example:8086/ceper", SECRETS)
    assert (access.base, access.database, str(access)) == (
        "https://db.plant.example:8086",
        "ceper",
        "https://db.plant.example:8086/ceper",
    )
    assert (access.token, access.username, access.password) == ("tok-7", "ingest", "pass-7")
    assert (access.org, access.ca) == ("plant", "/etc/ca.pem")
    assert "tok-7" not in repr(access)
    assert "pass-7" not in repr(access)


@pytest.mark.parametrize(
    ("url", "gzip", "remote"),
    [
        ("http://127.0.0.1:8086/ceper", False, False),
        ("http://localhost/ceper", False, False),
        ("http://[::1]:8086/ceper", False, False),
        ("http://192.0.2.7:8086/ceper", True, True),
        ("http://db:8086/ceper?gzip=off", False, True),
        ("http://127.0.0.1:8086/ceper?gzip=on", True, False),
    ],
)
def test_bodies_are_compressed_when_they_leave_the_machine_or_when_asked(url: str, gzip: bool, remote: bool) -> None:
    access = InfluxAccess.of(url, {})
    assert (access.gzip, access.remote) == (gzip, remote)
    assert str(access) == url.partition("?")[0]


def test_a_server_may_stand_behind_a_path() -> None:
    access = InfluxAccess.of("https://proxy.example/influx/ceper/", {})
    assert (access.base, access.database) == ("https://proxy.example/influx", "ceper")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://db:8086", "names no database"),
        ("http://db:8086/", "names no database"),
        ("http://db:8086/two words", "names no database"),
        ('http://db:8086/"; DROP DATABASE "ceper', "names no database"),
        ("http:///ceper", "cannot be read"),
        ("http://db:port/ceper", "cannot be read"),
        ("http://ingest:pass-7@db:8086/ceper", "SHOPFLOOR_HISTORIAN_TOKEN"),
        ("http://db:8086/ceper?token=pass-7", "unknown option 'token'"),
        ("http://db:8086/ceper?gzip=pass-7", "gzip=on"),
        ("mysql://ingest:pass-7@db/ceper", "http://host:8086/DATABASE"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_without_secrets(url: str, told: str) -> None:
    with pytest.raises(ServiceUnavailable) as fault:
        connect(url, {})
    assert told in str(fault.value)
    assert "\n" not in str(fault.value)
    assert "pass-7" not in str(fault.value)


def test_a_token_with_a_line_break_is_refused_without_being_told() -> None:
    with pytest.raises(ServiceUnavailable) as fault:
        InfluxAccess.of("http://db/ceper", {"SHOPFLOOR_HISTORIAN_TOKEN": "tok-7\r\nX-Evil: 1"})
    assert "SHOPFLOOR_HISTORIAN_TOKEN" in str(fault.value)
    assert "tok-7" not in str(fault.value)
