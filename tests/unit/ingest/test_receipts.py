import asyncio

from ingest.mapping import Source
from ingest.receipts import ReceiptBook, ReceiptPublisher
from messaging.receipt import Receipt, decode_receipt
from shopfloor.errors import ServiceUnavailable

HERE = Source("edge-1", "5f0c")
RIVAL = Source("edge-1", "a11e")


def test_nothing_is_claimed_of_an_outbox_never_heard_of():
    assert ReceiptBook().receipt(HERE) == Receipt("5f0c", -1)


def test_below_low_is_settled_by_the_agents_word_and_the_rest_by_ours():
    book = ReceiptBook()
    book.settle(HERE, 5, [7, 8])
    assert book.receipt(HERE) == Receipt("5f0c", 4, ((7, 8),))
    book.settle(HERE, 5, [5, 6])
    assert book.receipt(HERE) == Receipt("5f0c", 8)


def test_two_outboxes_of_one_agent_do_not_mix():
    book = ReceiptBook()
    book.settle(HERE, 1, [1, 2, 3])
    book.settle(RIVAL, 1, [2])
    assert book.receipt(HERE) == Receipt("5f0c", 3)
    assert book.receipt(RIVAL) == Receipt("a11e", 0, ((2, 2),))


def test_the_outbox_longest_unheard_of_is_forgotten_first():
    book = ReceiptBook(max_sources=1)
    book.settle(HERE, 1, [1])
    book.settle(RIVAL, 1, [1])
    assert book.receipt(HERE).upto == -1
    assert book.receipt(RIVAL).upto == 1


async def test_a_receipt_that_the_broker_did_not_take_is_published_when_it_is_back():
    book, published, arrived = ReceiptBook(), [], asyncio.Event()
    answers = iter([ServiceUnavailable("away"), ServiceUnavailable("still away")])

    async def publish(message):
        if (trouble := next(answers, None)) is not None:
            raise trouble
        published.append(message)
        arrived.set()

    publisher = ReceiptPublisher(book, publish)
    task = asyncio.create_task(publisher.run())
    book.settle(HERE, 1, [1])
    publisher.owe(HERE)
    await asyncio.wait_for(arrived.wait(), 30)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    [message] = published
    assert (message.topic, message.retain) == ("v1/receipts/edge-1", True)
    assert decode_receipt(message.payload) == Receipt("5f0c", 1)
