import asyncio
from collections import deque

from ingest.batcher import CHUNK, gather


class Feed:
    """Gives what it was given, at most ``step`` at once; then nothing more, or (``open``) it waits."""

    def __init__(self, items, step=CHUNK, open_ended=False):
        self.items, self.step, self.open_ended = deque(items), step, open_ended
        self.asked = []

    async def take(self, most):
        self.asked.append(most)
        if not self.items and self.open_ended:
            await asyncio.Event().wait()
        return [self.items.popleft() for _ in range(min(most, self.step, len(self.items)))]


async def all_of(feed, **limits):
    batches = []
    while batch := await gather(feed.take, lambda weight: weight, **limits):
        batches.append(batch)
    return batches


async def test_a_batch_closes_when_it_is_heavy_enough():
    assert await all_of(Feed([1, 1, 1, 1, 1]), limit=2, linger_s=60) == [[1, 1], [1, 1], [1]]


async def test_one_item_may_weigh_more_than_the_limit():
    assert await all_of(Feed([9, 1, 1], step=1), limit=2, linger_s=60) == [[9], [1, 1]]


async def test_no_item_gives_no_batch():
    assert await all_of(Feed([]), limit=2, linger_s=60) == []


async def test_never_more_is_asked_for_than_a_batch_may_still_weigh():
    feed = Feed([1] * 10, step=4)
    assert await all_of(feed, limit=6, linger_s=60) == [[1] * 6, [1] * 4]
    assert feed.asked[:2] == [6, 2]


async def test_a_lonely_item_does_not_wait_for_company_for_ever():
    feed = Feed([1], open_ended=True)
    assert await gather(feed.take, lambda weight: weight, limit=10, linger_s=0.001) == [1]
    feed.items.append(2)
    assert await gather(feed.take, lambda weight: weight, limit=10, linger_s=0.001) == [2]


async def test_what_comes_after_a_batch_has_lingered_is_in_the_next():
    queue = asyncio.Queue()

    async def take(most):
        return [await queue.get()]

    queue.put_nowait("a")
    assert await gather(take, lambda _: 1, limit=10, linger_s=0.001) == ["a"]
    queue.put_nowait("b")
    assert await gather(take, lambda _: 1, limit=10, linger_s=0.001) == ["b"]
    assert queue.empty()
