"""Ending on SIGINT and SIGTERM: the first asks politely, a second one ends at once."""

import asyncio
import os
import signal


def stop_on_signal() -> asyncio.Event:
    """An event that the first SIGINT or SIGTERM sets; the second kills the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked, number)
    return stop
