"""Ending on SIGINT and SIGTERM: the first asks politely, one that comes later ends at once."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine

from cli.causes import first_cause

SAME_PRESS_S = 2.0
"""A terminal, a shell and a supervisor may all pass on one wish to end: signals this close together are one."""


def stop_on_signal() -> asyncio.Event:
    """An event that the first SIGINT or SIGTERM sets; one more than SAME_PRESS_S later kills the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    first: list[float] = []

    def asked(number: int) -> None:
        first.append(loop.time())
        if loop.time() - first[0] > SAME_PRESS_S:
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked, number)
    return stop


async def _nothing() -> None:
    """No farewell."""


async def until_signal(service: Coroutine[None, None, None], farewell: Callable[[], Awaitable[None]] = _nothing) -> int:
    """Run a service until SIGINT or SIGTERM and its ``farewell`` after that, or raise what ended it."""
    stop = stop_on_signal()
    running = asyncio.create_task(service, name="service")
    asked = asyncio.create_task(_asked(stop, farewell), name="signal")
    await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not running.done():
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return 0
    fault = running.exception()
    if fault is not None:
        raise first_cause(fault)
    return 1


async def _asked(stop: asyncio.Event, farewell: Callable[[], Awaitable[None]]) -> None:
    await stop.wait()
    await farewell()
