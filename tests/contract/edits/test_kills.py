"""kill -9 in front of any write of the facts engine or of a rederivation: what comes after finishes the job."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from historian.connect import connect
from historian.historian import Historian
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, MINUTE
from shopfloor.machine_state import TimeCategory
from shopfloor.statement import StatementKind
from tests.contract.edits.bench import LONG_STOP, Shop, plan, recorded, stated
from tests.contract.edits.test_edits import redo
from tests.production import START

ROOT = Path(__file__).parents[3]
DERIVER = "tests.contract.edits.deriver"


def killed_at(url: str, writes: int, what: str) -> bool:
    """Whether the process was killed; False when it had less to write than that and ended by itself."""
    done = subprocess.run([sys.executable, "-m", DERIVER, url, str(writes), what], cwd=ROOT, timeout=50, check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


@pytest.fixture
def opened(url: str) -> Iterator[Historian]:
    historian = connect(url)
    yield historian
    historian.close()


async def test_a_killed_engine_is_finished_by_the_next(url: str, opened: Historian) -> None:
    late = [one for one in recorded() if START + 4 * HOUR <= one.time < START + 5 * HOUR]
    shop = Shop(opened)
    shop.store([one for one in recorded() if one not in late])
    await shop.derive()
    shop.store(late)
    moved = shop.state(stated(StatementKind.CATEGORY, LONG_STOP, category=TimeCategory.PLANNED_STOP))
    named = shop.state(
        stated(StatementKind.REASON, (LONG_STOP[0] + 4 * HOUR, LONG_STOP[1] + 4 * HOUR), reason="broken")
    )
    kills = 0
    while killed_at(url, kills % 4, "engine"):
        kills += 1
        assert kills < 20
    assert kills >= 3
    shop.assert_right()
    pagi = [each for each in shop.revisions() if each.shift == "pagi"]
    assert [each.n for each in pagi] == list(range(1, len(pagi) + 1))
    assert [each.cause for each in pagi] == [f"statement {moved.id}", f"statement {named.id}"]


async def test_a_killed_rederivation_is_finished_by_the_next_start_of_the_engine(url: str, opened: Historian) -> None:
    shop = Shop(opened)
    shop.store(recorded())
    await shop.derive()
    assert killed_at(url, 1, "rederive")
    assert shop.open_intervals() == 1
    shop.plan = plan(micro_stop_s=Dated.always(20.0))
    await shop.derive()
    shop.assert_right()
    assert {each.cause for each in shop.revisions()} == {"rederive"}
    assert redo(shop).shifts == []


async def test_a_killed_rederivation_is_finished_by_the_next_one_whatever_its_window(
    url: str, opened: Historian
) -> None:
    shop = Shop(opened)
    shop.store(recorded())
    await shop.derive()
    assert killed_at(url, 2, "rederive")
    shop.plan = plan(micro_stop_s=Dated.always(20.0))
    redo(shop, window=(START, START + 15 * MINUTE))
    shop.assert_right()
