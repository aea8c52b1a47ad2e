"""The stream of packets however the network cuts it: a socket pair stands for the broker's connection."""

import random
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from messaging.bulk_client import BulkClient, Received


class Line:
    """A client whose connection ends here."""

    def __init__(self):
        self.ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.got = []
        self.client = BulkClient(
            CallbackAPIVersion.VERSION2, "edge-1", protocol=MQTTv311, manual_ack=True, on_bulk=self.got.extend
        )
        self.subscribed = []
        self.client.on_subscribe = lambda _c, _u, mid, _codes, _p: self.subscribed.append(mid)
        self.client._sock = theirs

    def send(self, data):
        self.ours.sendall(data)
        return self.client.loop_read()

    def close(self):
        self.ours.close()
        if self.client._sock is not None:
            self.client._sock.close()


@pytest.fixture
def line():
    opened = Line()
    yield opened
    opened.close()


def length(number):
    out = bytearray()
    while True:
        number, digit = divmod(number, 128)
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


def publish(message):
    topic = len(message.topic).to_bytes(2, "big") + message.topic
    body = topic + (message.mid.to_bytes(2, "big") if message.qos else b"") + message.payload
    return bytes([0x30 | message.qos << 1 | message.retain]) + length(len(body)) + body


SUBACK = b"\x90\x03\x00\x07\x01"
PINGRESP = b"\xd0\x00"

messages = st.builds(
    Received,
    topic=st.binary(max_size=300),
    payload=st.binary(max_size=300),
    qos=st.just(1),
    mid=st.integers(1, 65_535),
    retain=st.booleans(),
) | st.builds(
    Received,
    topic=st.binary(max_size=5),
    payload=st.binary(max_size=5),
    qos=st.just(0),
    mid=st.just(0),
    retain=st.booleans(),
)


@given(st.lists(messages | st.sampled_from([SUBACK, PINGRESP]), max_size=8), st.integers(0, 2**32))
def test_every_message_comes_whole_and_in_order_however_the_stream_is_cut(packets, seed):
    line, chance = Line(), random.Random(seed)
    stream = b"".join(packet if isinstance(packet, bytes) else publish(packet) for packet in packets)
    try:
        while stream:
            size = chance.randint(1, len(stream))
            assert line.send(stream[:size]) == MQTTErrorCode.MQTT_ERR_SUCCESS
            stream = stream[size:]
        assert line.got == [packet for packet in packets if not isinstance(packet, bytes)]
        assert len(line.subscribed) == packets.count(SUBACK)
    finally:
        line.close()


def test_a_long_message_is_put_together(line):
    message = Received(b"t", b"x" * 600_000, 1, 9, False)
    stream = publish(message)
    for first in range(0, len(stream), 50_000):
        line.send(stream[first : first + 50_000])
    assert line.got == [message]


@pytest.mark.parametrize(
    "stream",
    [
        b"\x32\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x32\xff\xff\xff\x7f",  # 256 MB
        b"\x32\x05\x00\x09abc",  # the topic is longer than the packet
        b"\x32\x02\x00\x00",  # no message id
    ],
)
def test_a_stream_that_is_no_mqtt_ends_the_connection(line, stream):
    lost = []
    line.client.on_disconnect = lambda *_: lost.append(1)
    assert line.send(stream) == MQTTErrorCode.MQTT_ERR_PROTOCOL
    assert (lost, line.got, line.client._sock) == ([1], [], None)


def test_a_connection_that_the_broker_closes_is_lost(line):
    line.ours.close()
    assert line.client.loop_read() == MQTTErrorCode.MQTT_ERR_CONN_LOST


def test_what_was_cut_by_a_lost_connection_is_not_put_before_the_next_ones_first_packet(line):
    line.send(publish(Received(b"t", b"old", 1, 1, False))[:-1])
    with pytest.raises(ValueError, match="Invalid host"):  # it has no address to connect to
        line.client.reconnect()
    message = Received(b"t", b"new", 1, 2, False)
    line.send(publish(message))
    assert line.got == [message]


def test_many_acknowledgements_go_as_one(line):
    line.client.ack_all([1, 2, 65_535])
    line.client.loop_write()
    assert line.ours.recv(100) == b"\x40\x02\x00\x01\x40\x02\x00\x02\x40\x02\xff\xff"
    line.client.ack_all([])
    line.ours.setblocking(False)
    with pytest.raises(BlockingIOError):
        line.ours.recv(1)
