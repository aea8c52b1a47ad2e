import asyncio

from ingest.batcher import batches


async def stream(queue):
    while (item := await queue.get()) is not None:
        yield item


async def collect(items, **limits):
    queue = asyncio.Queue()
    for item in [*items, None]:
        queue.put_nowait(item)
    return [batch async for batch in batches(stream(queue), lambda weight: weight, **limits)]


async def test_a_batch_closes_when_it_is_heavy_enough():
    assert await collect([1, 1, 1, 1, 1], limit=2, linger_s=60) == [[1, 1], [1, 1], [1]]


async def test_one_item_may_weigh_more_than_the_limit():
    assert await collect([9, 1, 1], limit=2, linger_s=60) == [[9], [1, 1]]


async def test_no_item_gives_no_batch():
    assert await collect([], limit=2, linger_s=60) == []


async def test_a_lonely_item_does_not_wait_for_company_for_ever():
    queue = asyncio.Queue()
    queue.put_nowait(1)
    gathered = batches(stream(queue), lambda weight: weight, limit=10, linger_s=0.001)
    assert await anext(gathered) == [1]
    queue.put_nowait(2)
    assert await anext(gathered) == [2]
    await gathered.aclose()


async def test_leaving_early_leaves_no_task_behind():
    queue = asyncio.Queue()
    queue.put_nowait(1)
    gathered = batches(stream(queue), lambda weight: weight, limit=1, linger_s=60)
    assert await anext(gathered) == [1]
    await gathered.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}
