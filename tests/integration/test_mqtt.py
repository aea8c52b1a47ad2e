"""The MQTT client against real brokers: rights, acknowledgements, losses of the connection."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from messaging.access import BrokerAccess
from messaging.broker import free_port, start_broker
from messaging.client import Message, MqttClient
from messaging.rights import INGEST
from messaging.topic import INGEST_SUBSCRIPTIONS, agent_state_topic, receipt_topic
from shopfloor.errors import ServiceUnavailable

PATIENCE_S = 30
TOPIC = "v1/logam-jaya/ceper/machining/line-1/cnc-01/samples/edge-ceper-1"
FAST = (1, 1)


def ingest(broker, **options):
    access = broker.access_for(INGEST)
    return MqttClient(access, "ingest", subscriptions=INGEST_SUBSCRIPTIONS, retry_s=FAST, **options)


def edge(broker, agent="edge-ceper-1", **options):
    receipts = [receipt_topic(agent)]
    return MqttClient(broker.access_for(agent), agent, subscriptions=receipts, retry_s=FAST, **options)


async def take(client, count, *, ack=True):
    async with asyncio.timeout(PATIENCE_S), aclosing(client.deliveries()) as deliveries:
        taken = [await anext(deliveries) for _ in range(count)]
    for delivery in taken if ack else ():
        delivery.ack()
    return taken


async def until(condition):
    """Wait for what leaves nothing else to wait for."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def payloads(deliveries):
    return [delivery.message.payload for delivery in deliveries]


async def test_samples_go_one_way_and_receipts_the_other(any_broker):
    async with ingest(any_broker) as server, edge(any_broker) as agent:
        await server.wait_connected(PATIENCE_S)
        await agent.wait_connected(PATIENCE_S)
        await agent.publish(Message(TOPIC, b"sample"))
        [sample] = await take(server, 1)
        assert sample.message == Message(TOPIC, b"sample")
        await server.publish(Message(receipt_topic("edge-ceper-1"), b"receipt", retain=True))
        assert payloads(await take(agent, 1)) == [b"receipt"]


async def test_a_retained_receipt_waits_for_its_agent(any_broker):
    async with ingest(any_broker) as server:
        await server.wait_connected(PATIENCE_S)
        await server.publish(Message(receipt_topic("edge-ceper-1"), b"old", retain=True))
        await server.publish(Message(receipt_topic("edge-ceper-1"), b"new", retain=True))
    async with edge(any_broker) as agent:
        [receipt] = await take(agent, 1)
        assert receipt.message == Message(receipt_topic("edge-ceper-1"), b"new", retain=True)


async def test_an_agent_cannot_write_under_another_name(any_broker):
    async with ingest(any_broker) as server, edge(any_broker, "edge-2") as thief, edge(any_broker) as agent:
        for client in (server, thief, agent):
            await client.wait_connected(PATIENCE_S)
        for topic in (TOPIC, receipt_topic("edge-2"), agent_state_topic("edge-ceper-1")):
            try:
                await thief.wait_connected(PATIENCE_S)  # mosquitto hangs up on it
                await thief.publish(Message(topic, b"forged"))
            except ServiceUnavailable:
                continue
        await agent.publish(Message(TOPIC, b"true"))
        assert payloads(await take(server, 1)) == [b"true"]


async def test_a_wrong_password_is_never_connected_and_says_why(any_broker, caplog):
    access = any_broker.access_for("edge-2")
    async with MqttClient(BrokerAccess(access.url, "edge-2", "guessed"), "edge-2", retry_s=FAST) as client:
        await until(lambda: caplog.records)
        with pytest.raises(ServiceUnavailable, match="refuses user edge-2"):
            await client.wait_connected(0.01)
        with pytest.raises(ServiceUnavailable):
            await client.publish(Message(TOPIC, b""))
    assert len(caplog.records) == 1
    assert "guessed" not in caplog.text


async def test_a_broker_that_is_not_there_raises_nothing_until_something_is_published():
    access = BrokerAccess(f"mqtt://127.0.0.1:{free_port()}")
    async with MqttClient(access, "edge-1", retry_s=FAST) as client:
        assert not client.connected
        with pytest.raises(ServiceUnavailable):
            await client.publish(Message(TOPIC, b""))
        with pytest.raises(ServiceUnavailable):
            await client.wait_connected(0.01)


async def test_the_will_tells_of_an_agent_that_did_not_say_goodbye(broker):
    state = agent_state_topic("edge-2")
    async with ingest(broker) as server:
        await server.wait_connected(PATIENCE_S)
        hello = [Message(state, b"online", retain=True)]
        async with edge(broker, "edge-2", will=Message(state, b"offline", retain=True), on_connect_publish=hello):
            assert payloads(await take(server, 1)) == [b"online"]
            async with edge(broker, "edge-2"):  # the same name again: the broker cuts the first
                assert b"offline" in payloads(await take(server, 1))


async def test_what_was_not_acknowledged_comes_again(broker):
    async with edge(broker) as agent:
        async with ingest(broker, persistent=True) as server:
            await server.wait_connected(PATIENCE_S)
            await agent.wait_connected(PATIENCE_S)
            for number in range(3):
                await agent.publish(Message(TOPIC, b"%d" % number))
            first, second, third = await take(server, 3, ack=False)
            second.ack()
            await agent.publish(Message(TOPIC, b"3"))
            await take(server, 1)
        async with ingest(broker, persistent=True) as server:
            assert payloads(await take(server, 2)) == [b"0", b"2"]
            first.ack()
            third.ack()  # of a connection that is gone: nothing happens


async def test_messages_that_nobody_reads_are_dropped_and_counted(broker):
    async with ingest(broker, receive_limit=2) as server, edge(broker) as agent:
        await server.wait_connected(PATIENCE_S)
        await agent.wait_connected(PATIENCE_S)
        for number in range(5):
            await agent.publish(Message(TOPIC, b"%d" % number))
        await agent.publish(Message(agent_state_topic("edge-ceper-1"), b"done"))
        await until(lambda: server.overflowed == 4)
        assert payloads(await take(server, 2)) == [b"0", b"1"]
        await agent.publish(Message(TOPIC, b"later"))  # what was dropped holds no place in the broker's window
        assert payloads(await take(server, 1)) == [b"later"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_network_thread_that_dies_is_started_again(broker, monkeypatch, caplog):
    monkeypatch.setattr("messaging.client.WATCH_S", 0.1)
    async with ingest(broker) as server, edge(broker) as agent:
        await server.wait_connected(PATIENCE_S)
        await agent.wait_connected(PATIENCE_S)

        def die(*_):
            server._paho.loop_read = alive
            raise RuntimeError("nobody foresaw it")

        alive, server._paho.loop_read = server._paho.loop_read, die
        await agent.publish(Message(TOPIC, b"first"))
        await until(lambda: "has ended; starting it again" in caplog.text)
        await server.wait_connected(PATIENCE_S)
        await agent.publish(Message(TOPIC, b"second"))
        found = []
        while b"second" not in found:  # the first was not acknowledged, so it comes again
            found += payloads(await take(server, 1))
        assert server.connected


async def test_a_killed_broker_is_found_again_at_its_port(broker, tmp_path, caplog):
    async with ingest(broker) as server, edge(broker) as agent:
        await server.wait_connected(PATIENCE_S)
        await agent.wait_connected(PATIENCE_S)
        os.kill(broker.process.pid, signal.SIGKILL)
        await broker.stop()
        await until(lambda: not server.connected and not agent.connected)
        with pytest.raises(ServiceUnavailable):
            await agent.publish(Message(TOPIC, b"lost"))
        again = await start_broker(tmp_path / "broker", ["edge-ceper-1", "edge-2"], port=broker.port, kind="mosquitto")
        try:
            await server.wait_connected(PATIENCE_S)
            await agent.wait_connected(PATIENCE_S)
            await agent.publish(Message(TOPIC, b"after"))
            assert payloads(await take(server, 1)) == [b"after"]
            lost = [record for record in caplog.records if "trying again" in record.message]
            back = [record for record in caplog.records if "is back" in record.message]
        finally:
            await again.stop()
    assert 2 <= len(lost) <= 4  # each client tells of the loss, and once more if it finds nobody there
    assert len(back) == 2


async def test_a_publish_that_was_on_its_way_when_the_broker_froze_fails(broker):
    async with edge(broker) as agent:
        await agent.wait_connected(PATIENCE_S)
        os.kill(broker.process.pid, signal.SIGSTOP)
        publish = asyncio.create_task(agent.publish(Message(TOPIC, b"?")))
        await asyncio.sleep(0)
        os.kill(broker.process.pid, signal.SIGKILL)
        with pytest.raises(ServiceUnavailable):
            await publish


async def test_a_cancelled_publish_is_cancelled_even_when_its_acknowledgement_comes_at_that_moment(broker):
    async with edge(broker) as agent:
        await agent.wait_connected(PATIENCE_S)
        publish = asyncio.create_task(agent.publish(Message(TOPIC, b"?")))
        await asyncio.sleep(0)
        [arrived] = agent._published.values()
        arrived.set_result(None)
        publish.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publish


def test_the_broker_ends_with_its_parent_however_that_ends(tmp_path):
    script = f"""
import asyncio, os, signal
from pathlib import Path
from messaging.broker import start_broker
broker = asyncio.run(start_broker(Path({str(tmp_path)!r}), ["edge-1"], kind="mosquitto"))
print(broker.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, timeout=PATIENCE_S)
    pid = int(done.stdout)
    deadline = time.monotonic() + PATIENCE_S
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(pid)


def alive(pid):
    try:
        return b"mosquitto" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def test_an_agent_cannot_have_the_name_of_the_ingest_user(tmp_path):
    with pytest.raises(ServiceUnavailable, match="rename"):
        await start_broker(tmp_path, [INGEST])


async def test_a_taken_port_is_told(broker, tmp_path):
    with pytest.raises(ServiceUnavailable, match="is taken"):
        await start_broker(tmp_path / "second", ["edge-1"], port=broker.port, kind="mosquitto")
