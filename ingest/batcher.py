"""Gathers *messages* into batches: one acknowledged write for many of them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

T = TypeVar("T")


async def batches(
    items: AsyncIterator[T], weight: Callable[[T], int], *, limit: int, linger_s: float
) -> AsyncGenerator[list[T], None]:
    """Lists of items in order, each closed when it weighs ``limit`` or ``linger_s`` after its first item came.

    Ends with ``items``. While a batch is worked on, at most one further item is taken from ``items``.
    """
    pending = _take(items)
    try:
        while (first := await pending) is not None:
            batch, total = [first], weight(first)
            pending = _take(items)
            deadline = asyncio.get_running_loop().time() + linger_s
            while total < limit and await _ready(pending, deadline):
                item = pending.result()
                if item is None:
                    break
                batch.append(item)
                total += weight(item)
                pending = _take(items)
            yield batch
    finally:
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)


async def _ready(pending: "asyncio.Task[T | None]", deadline: float) -> bool:
    left = deadline - asyncio.get_running_loop().time()
    done, _ = await asyncio.wait({pending}, timeout=max(left, 0.0))
    return bool(done)


def _take(items: AsyncIterator[T]) -> "asyncio.Task[T | None]":
    async def take() -> T | None:
        return await anext(items, None)

    return asyncio.create_task(take(), name="next-delivery")
