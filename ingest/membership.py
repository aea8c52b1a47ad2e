"""Keeps this process's leases over the broker, and follows them: *messages* of the agents that it holds, and no others.

A connection of its own, so that no flood of samples delays a heartbeat.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from ingest.leases import BEAT_MS, LeaseBook
from messaging.access import BrokerAccess
from messaging.client import Message, MqttClient
from messaging.heartbeat import Heartbeat, decode_heartbeat, encode_heartbeat
from messaging.rights import INGEST
from messaging.topic import INGEST_MEMBERS_FILTER, ingest_member_topic
from shopfloor.clock import Clock
from shopfloor.errors import MessageRejected, ServiceUnavailable

log = logging.getLogger(__name__)

FOLLOW_S: Final = 0.2
"""How soon a lease that came or went is noticed."""
FAREWELL_S: Final = 1.0
"""Longest wait for the broker to take the last word."""
DEAF_MS: Final = 10_000
"""Connected for so long without hearing ourselves: the broker's rights are wrong."""


class Membership:
    """One process among those that serve a plant. ``serve`` and ``leave`` start and end the work for one agent.

    An agent whose lease has run out is left at once; one that falls to another process is given up when ``leave`` has
    returned. Whoever cancels ``run`` has ended the work before: then all that is held is given up.
    """

    def __init__(
        self,
        access: BrokerAccess,
        book: LeaseBook,
        clock: Clock,
        serve: Callable[[str], Awaitable[None]],
        leave: Callable[[str], Awaitable[None]],
    ) -> None:
        self._access, self._book, self._clock = access, book, clock
        self._serve, self._leave = serve, leave
        self._changing: dict[str, asyncio.Task[None]] = {}
        self._starting: set[str] = set()
        self._connected_ms: int | None = None
        self._deaf = False
        self.unread_heartbeats = 0
        """Heartbeats that could not be read."""
        self.served: set[str] = set()
        """The agents that this process works for."""

    async def run(self) -> None:
        """Until cancelled; raises what ``serve`` and ``leave`` raise."""
        client = MqttClient(
            self._access,
            f"{INGEST}-{self._book.me}-member",
            subscriptions=[INGEST_MEMBERS_FILTER],
            on_lost=self._on_lost,
            quiet=True,
        )
        async with client, asyncio.TaskGroup() as group:
            group.create_task(self._listen(client), name="heartbeats")
            group.create_task(self._beat(client), name="heartbeat")
            await self._follow(group)

    def _on_lost(self) -> None:
        self._connected_ms = None
        self._book.cut_off()

    async def _listen(self, client: MqttClient) -> None:
        async for delivery in client.deliveries():
            delivery.ack()
            try:
                beat = decode_heartbeat(delivery.message.payload)
            except MessageRejected as fault:
                self.unread_heartbeats += 1
                if self.unread_heartbeats == 1:
                    log.warning("a heartbeat on %s cannot be read: %s", delivery.message.topic, fault)
                continue
            if not delivery.message.retain:
                self._book.heard(beat, self._clock.mono_ms())

    async def _beat(self, client: MqttClient) -> None:
        try:
            while True:
                await client.wait_connected()  # while the broker is away there is nobody to tell
                now_ms = self._clock.mono_ms()
                self._connected_ms = self._connected_ms or now_ms
                self._note_deafness(now_ms)
                self._book.forget_silent(now_ms)
                with suppress(ServiceUnavailable):  # the next one says the same
                    await self._tell(client, self._book.beat(now_ms))
                await asyncio.sleep(BEAT_MS / 1000)
        finally:
            self._book.give_up(self.served)
            with suppress(ServiceUnavailable, TimeoutError):  # the others find out by our silence
                async with asyncio.timeout(FAREWELL_S):
                    await self._tell(client, self._book.beat(self._clock.mono_ms()))

    async def _tell(self, client: MqttClient, beat: Heartbeat) -> None:
        await client.publish(Message(ingest_member_topic(self._book.me), encode_heartbeat(beat)))

    def _note_deafness(self, now_ms: int) -> None:
        hears = self._book.hears_itself(now_ms)
        if hears and self._deaf:
            log.warning("our own heartbeats come back again")
        if not hears and not self._deaf and now_ms - (self._connected_ms or now_ms) > DEAF_MS:
            log.error(
                "our own heartbeats do not come back, so no agent can be served: "
                "let user %s of the broker read and write %s",
                INGEST,
                INGEST_MEMBERS_FILTER,
            )
            self._deaf = True
            return
        self._deaf = self._deaf and not hears

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        while True:
            now_ms = self._clock.mono_ms()
            held, falls_to_others = self._book.held(now_ms), self._book.to_give(now_ms)
            for agent in held - falls_to_others - self.served:
                self._change(group, agent, self._start)
            for agent in self.served - held:
                if agent in self._starting:
                    self._changing[agent].cancel()
                self._change(group, agent, self._end)
            for agent in falls_to_others:
                self._change(group, agent, self._give)
            await asyncio.sleep(FOLLOW_S)

    def _change(self, group: asyncio.TaskGroup, agent: str, how: Callable[[str], Awaitable[None]]) -> None:
        """Begin a change unless one of this agent is under way."""
        if agent in self._changing:
            return

        async def change() -> None:
            await how(agent)

        self._changing[agent] = task = group.create_task(change(), name=f"{how.__name__} {agent}")
        task.add_done_callback(lambda _: self._changing.pop(agent, None))

    async def _start(self, agent: str) -> None:
        self.served.add(agent)
        self._starting.add(agent)
        try:
            await self._serve(agent)
            log.info("serving %s", agent)
        finally:
            self._starting.discard(agent)

    async def _end(self, agent: str) -> None:
        log.warning("the lease of %s has run out", agent)
        await self._leave(agent)
        self.served.discard(agent)

    async def _give(self, agent: str) -> None:
        if agent in self.served:
            log.info("giving %s to another process", agent)
            await self._leave(agent)
            self.served.discard(agent)
        self._book.give_up([agent])
