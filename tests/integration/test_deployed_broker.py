"""Debian's mosquitto with exactly the files of ``shopfloor deploy init``: who gets in, who may what, what is told."""

import asyncio
import os
import signal
import socket
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from cli import certificates
from cli.certificates import Signed
from messaging.access import BrokerAccess
from messaging.broker import free_port
from messaging.client import Message, MqttClient
from messaging.payload import MAX_CARRIED_BYTES
from messaging.rights import INGEST
from messaging.topic import INGEST_SUBSCRIPTIONS, SAMPLES_FILTER, agent_state_topic, receipt_topic
from shopfloor.clock import SystemClock
from shopfloor.errors import ServiceUnavailable
from shopfloor.instant import HOUR
from tests.integration.conftest import require_mosquitto
from tests.two_agents import SAMPLES, Deployed, deployed, plant_text

PATIENCE_S = 30
OFTEN = (0.05, 0.05)
"""Pause between attempts (s): many in a short time."""
OWN, FOREIGN_UNIT = SAMPLES.format(unit="u1", agent="edge-1"), SAMPLES.format(unit="u3", agent="edge-1")
NOW = SystemClock().now()


@pytest.fixture
async def plant(tmp_path):
    """A deployment whose broker runs."""
    require_mosquitto()
    made = deployed(tmp_path)
    broker = await made.broker()
    yield made
    await broker.stop()


def client(access, user, *subscriptions, **options):
    return MqttClient(access, user, subscriptions=subscriptions, retry_s=OFTEN, **options)


@asynccontextmanager
async def connected(plant: Deployed, user: str, *subscriptions, **options):
    async with client(plant.access(user), user, *subscriptions, **options) as one:
        await one.wait_connected(PATIENCE_S)
        yield one


async def take(one, count):
    async with asyncio.timeout(PATIENCE_S), aclosing(one.deliveries()) as deliveries:
        taken = [await anext(deliveries) for _ in range(count)]
    for delivery in taken:
        delivery.ack()
    return [(delivery.message.topic, delivery.message.payload) for delivery in taken]


async def test_samples_come_in_over_tls_and_receipts_go_back(plant):
    assert (plant.access("edge-1").tls, plant.access(INGEST).tls) == (True, False)
    async with (
        connected(plant, INGEST, *INGEST_SUBSCRIPTIONS) as ingest,
        connected(plant, "edge-1", receipt_topic("edge-1")) as agent,
    ):
        await agent.publish(Message(OWN, b"sample"))
        await agent.publish(Message(agent_state_topic("edge-1"), b"state", retain=True))
        assert await take(ingest, 2) == [(OWN, b"sample"), (agent_state_topic("edge-1"), b"state")]
        await ingest.publish(Message(receipt_topic("edge-1"), b"receipt", retain=True))
        assert await take(agent, 1) == [(receipt_topic("edge-1"), b"receipt")]


FORBIDDEN = {
    "samples of another agent": SAMPLES.format(unit="u3", agent="edge-2"),
    "a unit of another agent": FOREIGN_UNIT,
    "a unit that nobody has": SAMPLES.format(unit="u9", agent="edge-1"),
    "another agent's state": agent_state_topic("edge-2"),
    "its own receipt": receipt_topic("edge-1"),
    "another's receipt": receipt_topic("edge-2"),
}


async def test_an_agent_writes_nothing_but_its_own_and_its_other_messages_arrive(plant):
    async with (
        connected(plant, INGEST, *INGEST_SUBSCRIPTIONS) as ingest,
        connected(plant, "edge-1", receipt_topic("edge-1")) as thief,
        connected(plant, "edge-2", receipt_topic("edge-2")) as victim,
    ):
        for what, topic in FORBIDDEN.items():
            await thief.publish(Message(topic, what.encode(), retain=topic.startswith("v1/receipts")))
        await thief.publish(Message(OWN, b"true"))
        assert await take(ingest, 1) == [(OWN, b"true")]
        for agent in ("edge-1", "edge-2"):
            await ingest.publish(Message(receipt_topic(agent), b"true"))
        assert await take(thief, 1) == [(receipt_topic("edge-1"), b"true")]
        assert await take(victim, 1) == [(receipt_topic("edge-2"), b"true")]


async def test_an_agent_reads_nothing_but_its_own_receipt(plant):
    everything = ["#", SAMPLES_FILTER, "v1/agents/+", "v1/receipts/+", "$SYS/#"]
    async with (
        connected(plant, INGEST, *INGEST_SUBSCRIPTIONS) as ingest,
        connected(plant, "edge-2") as other,
        connected(plant, "edge-1", *everything) as spy,
    ):
        await other.publish(Message(SAMPLES.format(unit="u3", agent="edge-2"), b"secret"))
        await other.publish(Message(agent_state_topic("edge-2"), b"secret", retain=True))
        await take(ingest, 2)
        for agent in ("edge-2", "edge-1"):
            await ingest.publish(Message(receipt_topic(agent), b"receipt"))
        assert {topic for topic, _ in await take(spy, 1)} == {receipt_topic("edge-1")}


async def test_nobody_is_driven_out_by_an_agent_that_takes_its_name(plant):
    async with (
        connected(plant, "edge-2", receipt_topic("edge-2")) as victim,
        client(plant.access("edge-1"), "edge-2") as thief,
    ):
        await thief.wait_connected(PATIENCE_S)
        await victim.publish(Message(SAMPLES.format(unit="u3", agent="edge-2"), b"still here"))
        assert victim.connected


# ---------------------------------------------------------------- who does not get in, and what is told


def signed_by_the_plant(plant: Deployed) -> Signed:
    home = plant.directory / "ca"
    return Signed((home / "ca.crt").read_bytes(), (home / "ca.key").read_bytes())


def show(plant: Deployed, signed: Signed) -> None:
    home = plant.directory / "mosquitto"
    (home / "server.crt").write_bytes(signed.certificate)
    (home / "server.key").write_bytes(signed.key)


def another_ca(plant: Deployed, access: BrokerAccess) -> BrokerAccess:
    file = plant.directory / "other.crt"
    file.write_bytes(certificates.authority("another", NOW).certificate)
    return replace(access, ca=str(file))


def expired(plant: Deployed, access: BrokerAccess) -> BrokerAccess:
    show(plant, certificates.server(["127.0.0.1"], signed_by_the_plant(plant), NOW - 1_000 * 24 * HOUR, days=900))
    return access


def not_yet_valid(plant: Deployed, access: BrokerAccess) -> BrokerAccess:
    show(plant, certificates.server(["127.0.0.1"], signed_by_the_plant(plant), NOW + 1_000 * 24 * HOUR))
    return access


def another_name(plant: Deployed, access: BrokerAccess) -> BrokerAccess:
    return replace(access, url=f"mqtts://localhost:{plant.port}")


def another_address(plant: Deployed, access: BrokerAccess) -> BrokerAccess:
    show(plant, certificates.server(["192.0.2.1"], signed_by_the_plant(plant), NOW))
    return access


def plain_to_tls(plant: Deployed, access: BrokerAccess) -> BrokerAccess:
    return replace(access, url=f"mqtt://127.0.0.1:{plant.port}")


def tls_to_plain(plant: Deployed, access: BrokerAccess) -> BrokerAccess:
    return replace(access, url=f"mqtts://127.0.0.1:{plant.local_port}")


def nobody_there(_plant: Deployed, access: BrokerAccess) -> BrokerAccess:
    return replace(access, url=f"mqtts://127.0.0.1:{free_port()}")


def unknown_host(_plant: Deployed, access: BrokerAccess) -> BrokerAccess:
    return replace(access, url="mqtts://broker.invalid")


def anonymous(_plant: Deployed, access: BrokerAccess) -> BrokerAccess:
    return replace(access, username=None, password=None)


def wrong_password(_plant: Deployed, access: BrokerAccess) -> BrokerAccess:
    return replace(access, password="guessed")


def unknown_user(_plant: Deployed, access: BrokerAccess) -> BrokerAccess:
    return replace(access, username="edge-9")


MISTAKES = {
    another_ca: "not signed by the CA in .*other.crt; give SHOPFLOOR_MQTT_CA the broker's ca.crt",
    expired: "has expired; renew it",
    not_yet_valid: "is not valid yet; is the clock of this machine right",
    another_name: "is not for localhost; write a name that it has",
    another_address: "is not for 127.0.0.1; write a name that it has",
    plain_to_tls: "hangs up before it answers; if this is its TLS port, write mqtts://",
    tls_to_plain: "it speaks no TLS at port",
    nobody_there: "nobody listens at port",
    unknown_host: "there is no host broker.invalid",
    anonymous: "refuses whoever gives no name",
    wrong_password: "refuses user edge-1: Not authorized; check SHOPFLOOR_MQTT_USERNAME",
    unknown_user: "refuses user edge-9",
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
async def test_a_mistake_is_one_line_that_says_what_to_do_and_is_tried_again(tmp_path, caplog, mistake):
    require_mosquitto()
    made = deployed(tmp_path)
    access = mistake(made, made.access("edge-1"))
    broker = await made.broker()
    try:
        async with client(access, "edge-1", receipt_topic("edge-1")) as agent:
            await tries(agent, 4)
            with pytest.raises(ServiceUnavailable, match=MISTAKES[mistake]):
                await agent.wait_connected(0)
    finally:
        await broker.stop()
    [line] = [record.message for record in caplog.records]
    assert line.endswith("trying again")
    assert "guessed" not in line


async def tries(agent: MqttClient, count: int) -> None:
    """Return when the client has tried so often to connect."""
    done, enough, loop = 0, asyncio.Event(), asyncio.get_running_loop()

    def counted(*_: object) -> None:
        nonlocal done
        done += 1
        if done == count:
            loop.call_soon_threadsafe(enough.set)

    agent._paho.on_pre_connect = counted
    async with asyncio.timeout(PATIENCE_S):
        await enough.wait()


async def test_a_repaired_certificate_is_found_and_told_once(tmp_path, caplog):
    require_mosquitto()
    made = deployed(tmp_path)
    good = Signed(*((made.directory / "mosquitto" / f"server.{kind}").read_bytes() for kind in ("crt", "key")))
    access = expired(made, made.access("edge-1"))
    broker = await made.broker()
    try:
        async with client(access, "edge-1", receipt_topic("edge-1")) as agent:
            await tries(agent, 3)
            show(made, good)
            os.kill(broker.pid, signal.SIGHUP)
            await agent.wait_connected(PATIENCE_S)
    finally:
        await broker.stop()
    first, last = [record.message for record in caplog.records]
    assert "has expired" in first
    assert last.endswith("is back")


@pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["missing", "empty", "nonsense"])
async def test_a_ca_file_that_cannot_be_used_ends_it_at_once(tmp_path, content):
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ServiceUnavailable, match=f"SHOPFLOOR_MQTT_CA {file}: "):
        MqttClient(BrokerAccess("mqtts://127.0.0.1", ca=str(file)), "edge-1")


# ---------------------------------------------------------------- changes while it runs


async def test_a_new_password_holds_from_the_reload_on(plant, caplog):
    pid = pid_of(plant)
    old = plant.access("edge-1")
    async with client(old, "edge-1") as agent:
        await agent.wait_connected(PATIENCE_S)
        assert plant.init("--rotate", "edge-1") == 0
        os.kill(pid, signal.SIGHUP)
        await said(caplog, "refuses user edge-1")
    async with connected(plant, "edge-1"):
        pass


async def test_an_agent_that_is_gone_from_the_plant_file_is_refused_from_the_reload_on(plant, caplog):
    pid = pid_of(plant)
    async with client(plant.access("edge-2"), "edge-2") as agent, connected(plant, "edge-1") as other:
        await agent.wait_connected(PATIENCE_S)
        plant.plant.write_text(plant_text({"edge-1": ("u1", "u2", "u3", "u4")}), "utf-8")
        assert plant.init() == 0
        os.kill(pid, signal.SIGHUP)
        await said(caplog, "refuses user edge-2")
        async with connected(plant, INGEST, *INGEST_SUBSCRIPTIONS) as ingest:
            await other.publish(Message(FOREIGN_UNIT, b"mine now"))
            assert await take(ingest, 1) == [(FOREIGN_UNIT, b"mine now")]


async def said(caplog, words: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while words not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def pid_of(plant: Deployed) -> int:
    """The broker that runs with these files."""
    wanted = str(plant.directory / "mosquitto" / "mosquitto.conf").encode()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        if wanted in entry.read_bytes() and b"mosquitto\0-c" in entry.read_bytes():
            return int(entry.parent.name)
    raise AssertionError("the broker does not run")


# ---------------------------------------------------------------- too long


async def test_what_no_broker_takes_is_left_out_and_what_follows_arrives_on_the_same_connection(plant, caplog):
    async with connected(plant, INGEST, *INGEST_SUBSCRIPTIONS) as ingest, connected(plant, "edge-1") as agent:
        for _ in range(2):
            await agent.publish(Message(OWN, b"x" * (MAX_CARRIED_BYTES + 1)))
        await agent.publish(Message(OWN, b"y" * MAX_CARRIED_BYTES))
        assert [len(payload) for _, payload in await take(ingest, 1)] == [MAX_CARRIED_BYTES]
    assert agent.oversized == 2
    [line] = [record.message for record in caplog.records]
    assert "left out" in line


@pytest.mark.parametrize("size", [MAX_CARRIED_BYTES + 1, 3 * MAX_CARRIED_BYTES], ids=["dropped", "hung up on"])
async def test_a_client_that_sends_what_is_too_long_harms_nobody_else(plant, size):
    async with (
        connected(plant, INGEST, *INGEST_SUBSCRIPTIONS) as ingest,
        connected(plant, "edge-1", receipt_topic("edge-1")) as agent,
    ):
        access = plant.access("edge-2")
        rude = Client(CallbackAPIVersion.VERSION2, "rude", reconnect_on_failure=False)
        rude.username_pw_set(access.username, access.password)
        rude.tls_set(ca_certs=access.ca)
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        rude.on_publish = rude.on_disconnect = lambda *_: loop.call_soon_threadsafe(done.set)
        await asyncio.to_thread(rude.connect, *access.address)
        rude.loop_start()
        rude.publish(SAMPLES.format(unit="u3", agent="edge-2"), b"x" * size, qos=1)
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()
        await agent.publish(Message(OWN, b"good"))
        assert await take(ingest, 1) == [(OWN, b"good")]
        assert agent.connected
        await asyncio.to_thread(rude.loop_stop)


async def test_a_connection_that_says_nothing_costs_the_others_nothing(plant):
    with (
        socket.create_connection(("127.0.0.1", plant.port)),
        socket.create_connection(("127.0.0.1", plant.port)) as odd,
    ):
        odd.sendall(b"GET / HTTP/1.1\r\n\r\n")
        async with connected(plant, "edge-1") as agent:
            await agent.publish(Message(OWN, b"good"))
