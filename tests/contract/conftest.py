"""One suite, every store: add an implementation by one line in STORES.

``influxdb`` is Debian's influxd, one server for all tests of a process and a database for each test. With
SHOPFLOOR_TEST_INFLUXDB_URL set (and _TOKEN, _ORG), that server is used instead: any 1.x, 2.x or 3.x.
"""

import os
from collections.abc import Callable, Iterator

import pytest

from historian.connect import connect
from historian.historian import Historian
from tests import influxd

SERVER = os.environ.get("SHOPFLOOR_TEST_INFLUXDB_URL", "").rstrip("/")

STORES: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "embedded": lambda request: f"embedded://{request.getfixturevalue('tmp_path') / 'historian'}",
    "influxdb": lambda request: influxd.fresh_database(request.getfixturevalue("influx_address")),
}
"""Name -> URL of a fresh, empty store; raw is kept for ever, since the suite writes from 1970 to 2262."""


@pytest.fixture(scope="session")
def influx_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an InfluxDB; in CI a missing one is a failure."""
    if SERVER:
        with pytest.MonkeyPatch.context() as patch:
            for secret in ("TOKEN", "ORG"):  # the processes that tests start inherit them
                if given := os.environ.get(f"SHOPFLOOR_TEST_INFLUXDB_{secret}"):
                    patch.setenv(f"SHOPFLOOR_HISTORIAN_{secret}", given)
            yield SERVER
        return
    influxd.require()
    daemon = influxd.InfluxDaemon(tmp_path_factory.mktemp("influxd")).start()
    yield daemon.address
    daemon.stop()


@pytest.fixture(params=sorted(STORES))
def url(request: pytest.FixtureRequest) -> str:
    return STORES[request.param](request)


@pytest.fixture
def historian(url: str) -> Iterator[Historian]:
    store = connect(url)
    yield store
    store.close()
