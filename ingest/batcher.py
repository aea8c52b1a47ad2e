"""Gathers *messages* into batches: one acknowledged write for many of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

CHUNK: Final = 256
"""Messages taken at once; between two chunks others get their turn."""


async def gather(
    take: Callable[[int], Awaitable[Sequence[T]]], weight: Callable[[T], int], *, limit: int, linger_s: float
) -> list[T]:
    """The next batch, in order: closed when it weighs ``limit``, or ``linger_s`` after its first item came.

    ``take`` gives at least one item and at most as many as asked, or none at the end; a call that is cancelled has
    taken nothing. Empty when nothing more will come.
    """
    batch = list(await take(min(CHUNK, limit)))
    total = sum(map(weight, batch))
    deadline = asyncio.get_running_loop().time() + linger_s
    try:
        async with asyncio.timeout_at(deadline):
            while batch and total < limit:
                await asyncio.sleep(0)  # what has come already is given without a pause
                more = await take(min(CHUNK, limit - total))
                if not more:
                    break
                batch += more
                total += sum(map(weight, more))
    except TimeoutError:
        pass
    return batch
