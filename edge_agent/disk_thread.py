"""Samples -> outbox: one thread of its own for the disk, so that neither bus nor broker ever waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class DiskThread:
    """Runs calls one after another, in the order in which they are awaited."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call in the thread; it has no timeout, since a disk call cannot be given up."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(call, *args, **kwargs))

    def close(self) -> None:
        """End the thread when its last call has returned."""
        self._thread.shutdown(wait=True)
