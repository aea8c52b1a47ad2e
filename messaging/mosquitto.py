"""mosquitto as a child process: the carrier of *messages* in the demo. It ends with its parent, however that ends."""

import asyncio
import os
import pwd
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from messaging import mosquitto_files as files
from messaging.rights import Rights
from shopfloor.errors import ServiceUnavailable

START_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 3.0

_DIE_WITH_PARENT: Final = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(sys.argv[2]))  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[3], sys.argv[3:])
"""


def find() -> str | None:
    """The installed mosquitto; Debian keeps it where a normal user's PATH does not look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def ends_with_parent(command: Sequence[str], by: signal.Signals = signal.SIGTERM) -> tuple[str, ...]:
    """The command of a process that gets this signal when this process ends, however that ends (on Linux)."""
    return (sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), str(int(by)), *command)


class Mosquitto:
    """A running child."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def stop(self) -> None:
        """End it, by force after STOP_TIMEOUT_S."""
        if self.alive:
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def start(folder: Path, port: int, rights: Mapping[str, Rights], passwords: Mapping[str, str]) -> Mosquitto:
    """Start it for these users and return when it accepts connections; raises ServiceUnavailable."""
    return await run(write_config(folder, port, rights, passwords), port, folder / "mosquitto.log")


async def run(config: Path, port: int, words: Path) -> Mosquitto:
    """Start it with a configuration and return when it accepts connections on ``port``; what it says goes to ``words``.

    Raises ServiceUnavailable with its last words.
    """
    executable = find()
    if executable is None:
        raise ServiceUnavailable("mosquitto is not installed; install it or use amqtt")
    if await _listens(port):
        raise ServiceUnavailable(f"port {port} is taken by another program; stop it or choose another port")
    running = Mosquitto(await _spawn([executable, "-c", str(config)], words))
    try:
        await _accepts(running, port, words)
    except BaseException:
        await running.stop()
        raise
    return running


async def _spawn(command: Sequence[str], words: Path) -> asyncio.subprocess.Process:
    with words.open("wb") as stderr:
        return await asyncio.create_subprocess_exec(
            *ends_with_parent(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,  # a person's Ctrl-C is for us; we end the broker last
        )


async def _accepts(running: Mosquitto, port: int, words: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not await _listens(port):
        if not running.alive or time.monotonic() > deadline:
            raise ServiceUnavailable(f"mosquitto does not start on port {port}: {_last(words)}")
        await asyncio.sleep(0.02)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def _last(words: Path) -> str:
    lines = words.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no answer"


def write_config(folder: Path, port: int, rights: Mapping[str, Rights], passwords: Mapping[str, str]) -> Path:
    """Write configuration, password and rights files; returns the configuration's path."""
    folder = folder.absolute()
    lines = [files.password_line(user, password) for user, password in passwords.items()]
    users = _secret(folder / "mosquitto.users", "".join(f"{line}\n" for line in lines))
    acl = _secret(folder / "mosquitto.acl", files.acl(rights))
    own = pwd.getpwuid(os.getuid()).pw_name  # else, started by root, it could not read its own files
    listener = files.Listener("The demo, on this machine alone.", port)
    return _secret(folder / "mosquitto.conf", files.configuration([listener], user=own, users=users, acl=acl))


def _secret(file: Path, text: str) -> Path:
    file.touch(mode=0o600)
    file.write_text(text)
    return file
