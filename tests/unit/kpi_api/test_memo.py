"""One look at what changes under way."""

from pathlib import Path
from unittest.mock import patch

import pytest

from kpi_api.memo import Memo
from tests.filled_plant import filled_plant


def test_a_question_is_asked_once_while_held_and_every_time_else() -> None:
    memo, asked = Memo(), []

    def ask() -> int:
        asked.append(1)
        return len(asked)

    assert [memo.of("a", ask), memo.of("a", ask)] == [1, 2]
    with memo.held():
        with memo.held():
            assert [memo.of("a", ask), memo.of("a", ask), memo.of("b", ask)] == [3, 3, 4]
        assert memo.of("a", ask) == 3
    assert memo.of("a", ask) == 5


def test_a_question_that_fails_is_asked_again() -> None:
    memo = Memo()
    with memo.held():
        with pytest.raises(ZeroDivisionError):
            memo.of("a", lambda: 1 // 0)
        assert memo.of("a", lambda: 7) == 7


def test_within_one_look_the_store_reads_what_is_new_once_and_answers_the_same(tmp_path: Path) -> None:
    with filled_plant(tmp_path, hours=2) as filled:
        read, asked = filled.historian.read, []
        with patch.object(filled.historian, "read", lambda query: asked.append(query) or read(query)):
            alone = [filled.store.recent_items(1) for _ in range(2)]
            twice = len(asked)
            asked.clear()
            with filled.store.one_look():
                together = [filled.store.recent_items(1) for _ in range(2)]
        assert together == alone
        assert len(asked) < twice * 0.8
