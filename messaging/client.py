"""The MQTT client under *messages*: the only module that imports an MQTT library.

paho runs its own network thread. Its callbacks only hand over to the event loop, where all state lives; no lock of ours
is ever held around a call into it. The broker is transport, never a store: what it acknowledged may still be lost.
"""

import asyncio
import logging
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, Final, NamedTuple

from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from messaging import tls, trouble
from messaging.access import BrokerAccess
from messaging.bulk_client import BulkClient, Received
from messaging.connection_log import STEADY_S, TURN_S, ConnectionLog
from messaging.payload import MAX_CARRIED_BYTES
from shopfloor.errors import ServiceUnavailable

__all__ = ["BrokerAccess", "Delivery", "Message", "MqttClient"]

log = logging.getLogger(__name__)

KEEPALIVE_S: Final = 20
CONNECT_TIMEOUT_S: Final = 3.0
PUBLISH_TIMEOUT_S: Final = 15.0
RETRY_S: Final = (1, 10)
"""Shortest and longest pause between attempts to connect (s)."""
IN_FLIGHT: Final = 20
"""Messages on the way to the broker at one time; further ``publish`` calls wait."""
RECEIVE_LIMIT: Final = 32_768
"""Deliveries that may wait to be read ..."""
RECEIVE_BYTES: Final = 64 * 1024 * 1024
"""... and what their payloads may hold together."""
WATCH_S: Final = 2.0
"""How often the network thread is looked after."""
LONGEST_TOPIC: Final = 512
"""Bytes of a topic; no topic of ours is as long."""
MAX_RECEIVED: Final = 1024 * 1024
"""Bytes of a payload that are kept; nothing of ours is as long, so what is cut off could not be read anyway."""


class Message(NamedTuple):
    """What is published or received. A received ``retain`` says that the broker had kept it from before."""

    topic: str
    payload: bytes
    retain: bool = False


class Delivery(NamedTuple):
    """A message with its receipt: not acknowledged, the broker may deliver it again."""

    message: Message
    ack: Callable[[], None]
    """Tell the broker that it may forget the message. Does nothing when the connection has changed since."""


class MqttClient:
    """One connection at QoS 1, MQTT 3.1.1: connects in the background, again after each loss, and subscribes anew.

    Trouble is told in one line and tried again for ever: a broker that is away, refuses us, or shows a certificate that
    is not trusted. Raises ServiceUnavailable at once for a CA file that cannot be used.

    With ``persistent`` the broker is asked to keep the session of ``client_id`` while we are away. ``receive_limit``
    (and RECEIVE_BYTES) bound the deliveries that wait to be read: beyond it they are dropped and counted in
    ``overflowed``; the sender, who gets no receipt, sends them again. It should exceed the broker's
    in-flight limit, which is what usually holds the broker back.
    """

    def __init__(
        self,
        access: BrokerAccess,
        client_id: str,
        *,
        subscriptions: Sequence[str] = (),
        will: Message | None = None,
        on_connect_publish: Sequence[Message] = (),
        receive_limit: int = RECEIVE_LIMIT,
        persistent: bool = False,
        retry_s: tuple[int, int] = RETRY_S,
        on_lost: Callable[[], None] = lambda: None,
        quiet: bool = False,
    ) -> None:
        """``on_lost`` is called after each loss of the connection, before anything of a new one is delivered. A
        ``quiet`` client leaves the telling of trouble to another one of this process at the same broker."""
        self._access = access
        self._subscriptions = tuple(subscriptions)
        self._on_connect_publish = tuple(on_connect_publish)
        self._told_lost = on_lost
        self._quiet = quiet
        self._unacked: list[int] = []
        self._inbox: deque[Delivery] = deque()
        self._inbox_bytes = 0
        self._receive_limit = receive_limit
        self._some = asyncio.Event()
        self._ready = asyncio.Event()
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._published: dict[int, asyncio.Future[None]] = {}
        self._session = 0
        self._subscribe_mid: int | None = None
        self._log = ConnectionLog(access, client_id)
        self._retry_s = retry_s
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._guard: asyncio.Task[None]
        self.overflowed = 0
        """Deliveries dropped because nobody read them."""
        self.oversized = 0
        """Messages left out because they are longer than a broker takes."""
        self._paho = self._make(client_id, persistent, will)

    def _make(self, client_id: str, persistent: bool, will: Message | None) -> BulkClient:
        paho = BulkClient(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=not persistent,
            protocol=MQTTv311,
            manual_ack=True,
            on_bulk=self._receive,
        )
        paho.suppress_exceptions = True
        paho.connect_timeout = CONNECT_TIMEOUT_S
        paho.reconnect_delay_set(*self._retry_s)
        paho.max_inflight_messages_set(IN_FLIGHT)
        if self._access.username is not None:
            paho.username_pw_set(self._access.username, self._access.password)
        if self._access.tls:
            paho.tls_set_context(tls.context(self._access))
        if will is not None:
            paho.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        self._wire(paho)
        return paho

    def _wire(self, paho: Client) -> None:
        """Every callback runs in paho's thread and does nothing but hand over plain values."""
        paho.on_connect = lambda _c, _u, _f, code, _p: self._hand_over(
            self._on_refused if code.is_failure else self._on_connected, str(code)
        )
        # paho calls it while it handles the exception, and tells it in no other way
        paho.on_connect_fail = lambda _c, _u: self._hand_over(self._on_no_connection, sys.exception())
        paho.on_disconnect = lambda _c, _u, _f, code, _p: self._hand_over(self._on_lost, str(code))
        paho.on_subscribe = lambda _c, _u, mid, codes, _p: self._hand_over(
            self._on_subscribed, mid, any(code.is_failure for code in codes)
        )
        paho.on_publish = lambda _c, _u, mid, _code, _p: self._hand_over(self._on_published, mid)

    def _hand_over(self, handler: Callable[..., None], *values: Any) -> None:
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(handler, *values)
        except RuntimeError:
            pass  # the loop has ended: nobody is left to be told

    def _receive(self, raws: Sequence[Received]) -> None:
        """In paho's thread."""
        self._hand_over(self._on_messages, raws)

    # ------------------------------------------------------------ life

    async def __aenter__(self) -> "MqttClient":
        self._loop = asyncio.get_running_loop()
        self._start()
        self._guard = asyncio.create_task(self._watch_thread(), name="mqtt thread watch")
        return self

    async def _watch_thread(self) -> None:
        """paho's thread ends with an exception that nobody foresaw, and nothing says so: start it again."""
        while True:
            await asyncio.sleep(WATCH_S)
            if not self._paho.alive:
                log.error("broker %s: the network thread has ended; starting it again", self._access.url)
                self._on_lost("the network thread has ended")
                self._start()

    def _start(self) -> None:
        host, port = self._access.address
        self._paho.connect_async(host, port, keepalive=KEEPALIVE_S)
        self._paho.loop_start()

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._guard.cancel()
        await asyncio.gather(self._guard, return_exceptions=True)
        self._paho.disconnect()
        await asyncio.to_thread(self._paho.loop_stop)
        self._ready.clear()
        self._fail_pending("the client is closed")

    @property
    def connected(self) -> bool:
        """Connected, and every subscription confirmed."""
        return self._ready.is_set()

    async def wait_connected(self, timeout_s: float | None = None) -> None:
        """Return once ``connected``; raises ServiceUnavailable after ``timeout_s`` (None: never)."""
        try:
            async with asyncio.timeout(timeout_s):  # wait_for may swallow a cancellation
                await self._ready.wait()
        except TimeoutError:
            what = self._log.trouble or "no answer yet"
            raise ServiceUnavailable(f"broker {self._access.url} after {timeout_s} s: {what}") from None

    # ------------------------------------------------------------ traffic

    async def publish(self, message: Message) -> None:
        """Hand one message to the broker; returns when the broker has it.

        Raises ServiceUnavailable when not connected or when the connection breaks meanwhile; the message may then
        have arrived or not. Nothing is kept for later, but for what was on the way at the break. A message that is
        longer than a broker takes is left out as a broker would, and counted: sent, it could cost the connection, again
        after every reconnection.
        """
        if len(message.payload) > MAX_CARRIED_BYTES:
            self._leave_out(message)
            return
        async with self._slots:
            if not self.connected:
                raise ServiceUnavailable(f"not connected to broker {self._access.url}")
            try:
                async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                    await self._send(message)
            except TimeoutError:
                raise ServiceUnavailable(f"broker {self._access.url} does not acknowledge") from None

    def _leave_out(self, message: Message) -> None:
        self.oversized += 1
        if self.oversized == 1:
            size = len(message.payload)
            log.error("a message on %s is left out: %d bytes, at most %d", message.topic, size, MAX_CARRIED_BYTES)

    def _send(self, message: Message) -> asyncio.Future[None]:
        info = self._paho.publish(message.topic, message.payload, qos=1, retain=message.retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise ServiceUnavailable(f"broker {self._access.url}: {info.rc.name}")
        arrived = asyncio.get_running_loop().create_future()
        self._published[info.mid] = arrived  # paho reports only through the loop, so never before this line
        arrived.add_done_callback(lambda _: self._published.pop(info.mid, None))
        return arrived

    def subscribe(self, topics: Sequence[str]) -> None:
        """Listen to these topics, too, from now on and after each loss of the connection."""
        new = [topic for topic in topics if topic not in self._subscriptions]
        self._subscriptions += tuple(new)
        if new and self.connected:
            self._paho.subscribe([(topic, 1) for topic in new])

    def unsubscribe(self, topics: Sequence[str]) -> None:
        """Listen to these topics no more. What is on its way still comes."""
        gone = [topic for topic in self._subscriptions if topic in topics]
        self._subscriptions = tuple(topic for topic in self._subscriptions if topic not in topics)
        if gone and self.connected:
            self._paho.unsubscribe(gone)

    async def take(self, most: int) -> list[Delivery]:
        """What has been received, in order, at least one and at most ``most``; each to be acknowledged by the reader.

        One reader at a time. A cancelled call has taken nothing.
        """
        while not self._inbox:
            self._some.clear()
            await self._some.wait()
        taken = [self._inbox.popleft() for _ in range(min(most, len(self._inbox)))]
        self._inbox_bytes -= sum(len(delivery.message.payload) for delivery in taken)
        return taken

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """The same one by one. Never ends by itself."""
        while True:
            (delivery,) = await self.take(1)
            yield delivery

    # ------------------------------------------------------------ in the loop

    def _on_connected(self, _: str) -> None:
        self._session += 1
        self._log.connected(asyncio.get_running_loop().time())
        if self._subscriptions:
            self._subscribe()
        else:
            self._on_ready()

    def _subscribe(self) -> None:
        self._subscribe_mid = self._paho.subscribe([(topic, 1) for topic in self._subscriptions])[1]

    def _on_subscribed(self, mid: int, refused: bool) -> None:
        if mid != self._subscribe_mid:
            return
        if refused:
            what = ", ".join(self._subscriptions)
            self._say(self._log.refused(f"refuses to let {self._access.username} read {what}; check the rights there"))
            self._later(self._retry_s[1], self._subscribe)
            return
        self._on_ready()

    def _on_ready(self) -> None:
        for message in self._on_connect_publish:
            self._paho.publish(message.topic, message.payload, qos=1, retain=message.retain)
        self._say(self._log.ready())
        if self._log.driven_out:
            self._later(STEADY_S, self._on_held)
        self._ready.set()

    def _on_held(self) -> None:
        self._say(self._log.held(asyncio.get_running_loop().time()))
        if not self._log.driven_out:
            self._paho.reconnect_delay_set(*self._retry_s)

    def _on_refused(self, reason: str) -> None:
        self._say(self._log.refused(trouble.refused(self._access, reason)))

    def _on_no_connection(self, fault: BaseException | None) -> None:
        self._say(self._log.no_connection(fault))

    def _on_lost(self, reason: str) -> None:
        self._ready.clear()
        self._unacked.clear()
        self._told_lost()
        self._fail_pending(reason)
        self._say(self._log.lost(f"connection lost ({reason})", asyncio.get_running_loop().time()))
        if self._log.driven_out:
            self._paho.reconnect_delay_set(TURN_S, TURN_S)

    def _say(self, line: str | None) -> None:
        if line is not None and not self._closing and not self._quiet:
            log.warning("%s", line)

    def _later(self, delay_s: float, handler: Callable[[], None]) -> None:
        """Call a handler after a while, unless another connection has come meanwhile."""
        session = self._session

        def due() -> None:
            if self._session == session and not self._closing:
                handler()

        asyncio.get_running_loop().call_later(delay_s, due)

    def _on_published(self, mid: int) -> None:
        arrived = self._published.get(mid)
        if arrived is not None and not arrived.done():
            arrived.set_result(None)

    def _fail_pending(self, reason: str) -> None:
        for arrived in list(self._published.values()):
            if not arrived.done():
                arrived.set_exception(ServiceUnavailable(f"broker {self._access.url}: {reason}"))

    def _on_messages(self, raws: Sequence[Received]) -> None:
        for raw in raws:
            payload = raw.payload if len(raw.payload) <= MAX_RECEIVED else raw.payload[:MAX_RECEIVED]
            if len(self._inbox) >= self._receive_limit or self._inbox_bytes + len(payload) > RECEIVE_BYTES:
                self._overflow(raw)
                continue
            self._inbox.append(Delivery(Message(_topic(raw.topic), payload, raw.retain), self._ack_of(raw)))
            self._inbox_bytes += len(payload)
        self._some.set()

    def _overflow(self, raw: Received) -> None:
        """Let it go, as a broker would: its sender, who gets no receipt, sends it again. Kept unacknowledged, it would
        hold a place in the broker's window for as long as we are connected."""
        self.overflowed += 1
        self._ack_of(raw)()
        if self.overflowed == 1:
            log.error("messages arrive faster than they are read; some are dropped, to be sent again")

    def _ack_of(self, raw: Received) -> Callable[[], None]:
        return partial(self._ack, self._session, raw.mid)

    def _ack(self, session: int, mid: int) -> None:
        if self._session == session and mid:
            self._unacked.append(mid)
            if len(self._unacked) == 1:
                asyncio.get_running_loop().call_soon(self._send_acks)

    def _send_acks(self) -> None:
        mids, self._unacked = self._unacked, []
        self._paho.ack_all(mids)


def _topic(raw: bytes) -> str:
    return _short_topic(raw) if len(raw) <= LONGEST_TOPIC else "?"


@lru_cache(maxsize=4_096)
def _short_topic(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "?"  # no topic of ours matches
