"""A TCP link between two processes that can be cut, stalled and slowed, with an ear on what goes through it."""

import asyncio
import socket
from collections.abc import Callable
from enum import Enum
from typing import Protocol

CHUNK = 65_536
SLOW_CHUNK = 1_024
"""A slow link carries so many bytes at a time, each after its delay."""


class Ear(Protocol):
    """Hears one connection."""

    def up(self, data: bytes) -> None:
        """Bytes from the client."""
        ...

    def down(self, data: bytes) -> None:
        """Bytes to the client."""
        ...


class Deaf:
    """An ear that hears nothing."""

    def up(self, data: bytes) -> None:
        pass

    def down(self, data: bytes) -> None:
        pass


class Condition(Enum):
    """What a link does with its bytes."""

    FINE = "fine"
    CUT = "cut"
    """Connections break, and new ones too."""
    STALLED = "stalled"
    """Connections stand, and nothing comes through."""
    SLOW = "slow"


class Link:
    """Listens on loopback and carries each connection to ``target``."""

    def __init__(self, name: str, target: tuple[str, int], ear: Callable[[], Ear] = Deaf) -> None:
        self.name, self.target = name, target
        self.port = 0
        self._ear = ear
        self._condition = Condition.FINE
        self._delay_s = 0.0
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen on a free port, for as long as the link lives."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Break every connection; new ones break at once."""
        self._set(Condition.CUT)
        for writer in list(self._writers):
            writer.transport.abort()

    def stall(self) -> None:
        """Hold all bytes back."""
        self._set(Condition.STALLED)

    def slow(self, delay_s: float) -> None:
        """Delay each small piece."""
        self._delay_s = delay_s
        self._set(Condition.SLOW)

    def mend(self) -> None:
        """Everything passes again; what was held back comes now, but for connections that were given up meanwhile."""
        self._set(Condition.FINE)

    async def close(self) -> None:
        """Break everything for good."""
        self.cut()
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _set(self, condition: Condition) -> None:
        self._condition = condition
        if condition is Condition.STALLED:
            self._flows.clear()
        else:
            self._flows.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer), name=self.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            held = await self._passes()
            if self._condition is Condition.CUT:
                return
            far_reader, far = await asyncio.open_connection(*self.target)
            self._writers.add(far)
            for each in (writer, far):
                each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ear = self._ear()
            pumps = {
                asyncio.create_task(self._pump(reader, far, ear.up, held=held)),
                asyncio.create_task(self._pump(far_reader, writer, ear.down)),
            }
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # the far end is not there: the near end is told by the break
        finally:
            for each in filter(None, (writer, far)):
                self._writers.discard(each)
                each.transport.abort()

    async def _passes(self) -> bool:
        """Wait until bytes come through; whether it took a wait."""
        held = not self._flows.is_set()
        await self._flows.wait()
        return held

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        hear: Callable[[bytes], None],
        *,
        held: bool = False,
    ) -> None:
        while data := await reader.read(CHUNK):
            hear(data)
            held |= await self._passes()
            if self._condition is Condition.CUT or (held and reader.at_eof()):
                return  # what was held back for somebody who has left since reaches nobody
            held = False
            for start in range(0, len(data), SLOW_CHUNK) if self._condition is Condition.SLOW else (0,):
                if self._condition is Condition.SLOW:
                    await asyncio.sleep(self._delay_s)
                    writer.write(data[start : start + SLOW_CHUNK])
                else:
                    writer.write(data[start:])
                    break
            await writer.drain()
        if not writer.is_closing() and writer.can_write_eof():
            await writer.drain()
