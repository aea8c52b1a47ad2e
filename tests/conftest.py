"""What every test may use: the shared real inputs, and properties that do not depend on the machine's speed."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"

SYSTEM = Path(__file__).parent / "system"

settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no worker is left alone with one of them in the end."""
    items.sort(key=lambda item: not item.path.is_relative_to(SYSTEM))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The shared real inputs beside the repository; without them a test is skipped, in CI it fails."""
    if not SHARED_DATA.is_dir():
        report = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        report(f"shared data are missing at {SHARED_DATA}")
    return SHARED_DATA
