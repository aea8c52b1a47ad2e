"""KPIs -> panels: the web server as one task of a process, ended by its owner and not by signals of its own."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

from shopfloor.errors import ServiceUnavailable

GRACE_S = 2
"""How long requests may still run when the server stops."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(app: FastAPI, host: str = "127.0.0.1", port: int = 8080) -> AsyncIterator[str]:
    """Serve ``app`` while the context lasts and give its URL; port 0 takes a free one.

    Raises ServiceUnavailable when the address cannot be used. On leaving, live streams end and the port is free.
    """
    config = uvicorn.Config(
        app, host, port, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_S, lifespan="off"
    )
    server = _Server(config)
    sock = _bound(host, port)
    task = asyncio.create_task(server.serve([sock]), name="kpi-api")
    try:
        yield f"http://{_in_url(host)}:{sock.getsockname()[1]}"
    finally:
        app.state.closing.set()
        server.should_exit = True
        await task
        sock.close()


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket: connections are taken from the first moment on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise ServiceUnavailable(f"cannot listen on {host}:{port}: {error}; free the port or choose another") from error
    return sock


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
