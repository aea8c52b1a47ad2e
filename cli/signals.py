"""Ending on SIGINT and SIGTERM: the first asks politely, one that comes later ends at once."""

import asyncio
import os
import signal

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
