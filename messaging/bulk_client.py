"""paho's client, taking the stream of *messages* in bulk: one read of the socket gives all packets that have come.

paho reads each packet by three system calls, and each gives Python's lock away: beside a thread that works, that is
what a flood of messages waits for. Here PUBLISH packets are cut out of what one read brought, and acknowledgements of
many are sent as one. Everything else - connecting, sessions, keep-alive, sending, every other packet - stays paho's.
It leans on names of paho 2.2 that are not public, so the version is pinned; ``docs/decisions/0021`` has the figures.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from paho.mqtt.client import Client
from paho.mqtt.enums import MessageType, MQTTErrorCode

READ_BYTES: Final = 256 * 1024
"""Asked of the socket at a time."""
PAUSE_S: Final = 0.003
"""After messages were handed over: what comes meanwhile is read at once, where each alone would wake everybody up."""
MAX_PACKET: Final = 4 * 1024 * 1024
"""A longer packet is none of ours: the connection is given up before it fills the memory."""
_PUBLISH: Final = int(MessageType.PUBLISH)
_LONGEST_LENGTH: Final = 4


class Received(NamedTuple):
    """A PUBLISH packet of QoS 0 or 1."""

    topic: bytes
    payload: bytes
    qos: int
    mid: int
    """0 at QoS 0."""
    retain: bool


class _Wrong(Exception):
    """The stream is no MQTT, or not what we asked for."""


class BulkClient(Client):
    """``on_bulk`` is called in the network thread, instead of ``on_message``."""

    def __init__(self, *arguments: Any, on_bulk: Callable[[Sequence[Received]], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._on_bulk = on_bulk
        self._ahead = b""
        self._at = 0

    @property
    def alive(self) -> bool:
        """Whether the network thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def loop_start(self) -> MQTTErrorCode:
        if self._thread is None:  # paho leaves what the thread before was woken by
            for waker in (self._sockpairR, self._sockpairW):
                if waker is not None:
                    waker.close()
        return super().loop_start()

    def reconnect(self) -> MQTTErrorCode:
        self._ahead, self._at = b"", 0
        return super().reconnect()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """One read, and everything that is complete after it."""
        if self._sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        try:
            data = super()._sock_recv(READ_BYTES)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            data = b""
        if not data:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        self._ahead += data
        try:
            return self._work_off()
        except _Wrong:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_PROTOCOL)

    def ack_all(self, mids: Iterable[int]) -> None:
        """PUBACK for messages of QoS 1, in one packet of the network. From any thread."""
        packet = b"".join(b"\x40\x02" + mid.to_bytes(2, "big") for mid in mids)
        if packet:
            self._packet_queue(int(MessageType.PUBACK), packet, 0, 0)

    def _work_off(self) -> MQTTErrorCode:
        while True:
            published = self._published()
            if published:
                self._on_bulk(published)
                time.sleep(PAUSE_S)
            if _bounds(self._ahead, self._at) is None:
                self._ahead, self._at = self._ahead[self._at :], 0
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            code = self._packet_read()  # by our ``_sock_recv``
            if code > 0:
                return self._loop_rc_handle(code)
            if self._sock is None:  # a callback has closed it
                return MQTTErrorCode.MQTT_ERR_NO_CONN

    def _sock_recv(self, bufsize: int) -> bytes:
        """What paho reads: from the packet that is complete here."""
        data = self._ahead[self._at : self._at + bufsize]
        self._at += len(data)
        return data

    def _published(self) -> list[Received]:
        """The packets that come next, up to the first that is not complete, or no PUBLISH of QoS 0 or 1; it stays."""
        ahead, at = self._ahead, self._at
        found: list[Received] = []
        while at < len(ahead) and ahead[at] & 0xF0 == _PUBLISH and ahead[at] & 0x06 <= 0x02:
            bounds = _bounds(ahead, at)
            if bounds is None:
                break
            begin, end = bounds
            head = ahead[at]
            qos = (head >> 1) & 1
            topic_end = begin + 2 + (ahead[begin] << 8 | ahead[begin + 1]) if begin + 2 <= end else end + 1
            body = topic_end + 2 * qos
            if body > end:
                raise _Wrong
            mid = ahead[topic_end] << 8 | ahead[topic_end + 1] if qos else 0
            found.append(Received(ahead[begin + 2 : topic_end], ahead[body:end], qos, mid, bool(head & 1)))
            self._at = at = end
        return found


def _bounds(ahead: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of the packet at ``at`` begins and ends; None while it is not all here."""
    length = shift = 0
    for place in range(at + 1, at + 1 + _LONGEST_LENGTH):
        if place >= len(ahead):
            return None
        digit = ahead[place]
        length |= (digit & 0x7F) << shift
        shift += 7
        if not digit & 0x80:
            if length > MAX_PACKET:
                raise _Wrong
            end = place + 1 + length
            return (place + 1, end) if end <= len(ahead) else None
    raise _Wrong
