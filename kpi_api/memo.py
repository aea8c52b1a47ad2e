"""One look at what changes under way: answers of the historian that are asked for again and again for one statement."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """Remembers answers while ``held``; else every question is asked. Held by one thread alone."""

    def __init__(self) -> None:
        self._holders = 0
        self._known: dict[Hashable, Any] = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is asked within is asked once, and forgotten in the end."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._known.clear()

    def of(self, question: Hashable, ask: Callable[[], T]) -> T:
        """The answer to a question."""
        if not self._holders:
            return ask()
        if question not in self._known:
            self._known[question] = ask()
        answer: T = self._known[question]
        return answer
