"""The services as processes: what each says to wrong input, when it ends, and what it goes on trying."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cli.secret_files import settings
from messaging.rights import INGEST
from tests.integration.conftest import require_mosquitto
from tests.two_agents import deployed, plant_text

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30
SECRET = "s3cret-word"


@dataclass(frozen=True)
class Mistake:
    """A command line that cannot work."""

    command: str
    code: int
    words: str
    environment: dict[str, str] = field(default_factory=dict)


EDGE, SERVE, API = "edge PLANT --agent edge-1", "ingest PLANT", "api PLANT --port 0"
MISTAKES = {
    "edge: no plant file": Mistake("edge nowhere.yaml --agent edge-1", 2, "nowhere.yaml"),
    "ingest: no plant file": Mistake("ingest nowhere.yaml", 2, "nowhere.yaml"),
    "api: no plant file": Mistake("api nowhere.yaml", 2, "nowhere.yaml"),
    "edge: unknown agent": Mistake("edge PLANT --agent edge-9", 2, "there is no agent 'edge-9'; it has edge-1, edge-2"),
    "ingest: no agent matches": Mistake("ingest PLANT --agents press-*", 2, "no agent matches 'press-*'"),
    "api: no port": Mistake("api PLANT --port 70000", 2, "--port 70000 is no port"),
    "edge: endpoints are no file": Mistake(f"{EDGE} --endpoints nowhere.json", 1, "nowhere.json"),
    "edge: endpoints are no endpoints": Mistake(f"{EDGE} --endpoints PLANT", 2, "give the file that"),
    "edge: no broker URL": Mistake(EDGE, 1, "is not a broker", {"SHOPFLOOR_MQTT_URL": "http://host"}),
    "ingest: no broker URL": Mistake(SERVE, 1, "is not a broker", {"SHOPFLOOR_MQTT_URL": "broker:1883"}),
    "edge: a secret in the URL": Mistake(
        EDGE, 1, "SHOPFLOOR_MQTT_PASSWORD", {"SHOPFLOOR_MQTT_URL": f"mqtt://edge-1:{SECRET}@127.0.0.1"}
    ),
    "edge: no CA file": Mistake(
        EDGE,
        1,
        "SHOPFLOOR_MQTT_CA nowhere.crt",
        {"SHOPFLOOR_MQTT_URL": "mqtts://h", "SHOPFLOOR_MQTT_CA": "nowhere.crt"},
    ),
    "ingest: the CA file holds no certificate": Mistake(
        SERVE, 1, "holds no certificate", {"SHOPFLOOR_MQTT_URL": "mqtts://h", "SHOPFLOOR_MQTT_CA": "PLANT"}
    ),
    "edge: the data folder is a file": Mistake(EDGE, 1, "plant.yaml", {"SHOPFLOOR_DATA": "PLANT"}),
    "ingest: the data folder is a file": Mistake(SERVE, 1, "plant.yaml", {"SHOPFLOOR_DATA": "PLANT"}),
    "api: the data folder is a file": Mistake(API, 1, "plant.yaml", {"SHOPFLOOR_DATA": "PLANT"}),
    "deploy: no host": Mistake("deploy init PLANT --directory out", 2, "--host"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "plant.yaml").write_text(plant_text(), "utf-8")
    return tmp_path


def process(folder, command, environment, stderr):
    plant = str(folder / "plant.yaml")
    arguments = [plant if word == "PLANT" else word for word in command.split()]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SHOPFLOOR_")}
    given = {name: plant if value == "PLANT" else value for name, value in environment.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), "SHOPFLOOR_DATA": str(folder / "data"), **given},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        text=True,
    )


def end_of(folder, command, environment):
    """Exit code, and what it said, of a command that ends by itself."""
    with process(folder, command, environment, subprocess.PIPE) as running:
        _, said = running.communicate(timeout=PATIENCE_S)
    return running.returncode, said.splitlines()


@pytest.mark.parametrize("name", MISTAKES)
def test_wrong_input_ends_at_once_with_one_line_and_its_exit_code(folder, name):
    mistake = MISTAKES[name]
    code, [line] = end_of(folder, mistake.command, mistake.environment)
    assert mistake.words in line
    assert SECRET not in line
    assert code == mistake.code


def test_the_api_says_when_its_port_is_taken(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, [line] = end_of(folder, f"api PLANT --port {port}", {})
    assert code == 1
    assert str(port) in line


# ---------------------------------------------------------------- what is tried again


@contextmanager
def service(folder, command, environment):
    """A service whose words can be read while it runs; it must end well when it is asked to."""
    words = folder / "words"
    with words.open("w", encoding="utf-8") as stderr, process(folder, command, environment, stderr) as running:
        try:
            yield lambda text: heard(running, words, text)
        finally:
            running.send_signal(signal.SIGTERM)
            code = running.wait(PATIENCE_S)
    assert code == 0


def heard(running, words, text):
    """The lines it has said when ``text`` is among them."""
    deadline = time.monotonic() + PATIENCE_S
    while text not in (said := words.read_text("utf-8")):
        assert running.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.02)
    return said.splitlines()


@pytest.mark.parametrize(("command", "user"), [(EDGE, "edge-1"), (SERVE, INGEST)])
async def test_a_service_waits_for_its_broker_says_so_once_and_comes_back(tmp_path, command, user):
    require_mosquitto()
    made = deployed(tmp_path)
    with service(tmp_path, command, settings(made.env(user).read_text("utf-8"))) as say:
        say("nobody listens at port")
        broker = await made.broker()
        try:
            first, last = [line for line in say("is back") if "broker mqtt" in line]
        finally:
            await broker.stop()
    assert first.endswith("trying again")
    assert "WARNING" in last


REFUSALS = {
    "a wrong password": ({"SHOPFLOOR_MQTT_PASSWORD": SECRET}, "refuses user edge-1: Not authorized"),
    "another agent's user": ({"SHOPFLOOR_MQTT_USERNAME": "edge-2"}, "refuses user edge-2"),
    "a plain URL for the TLS port": ({"scheme": "mqtt"}, "if this is its TLS port, write mqtts://"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_the_broker_does_not_like_is_told_and_the_agent_goes_on_collecting(tmp_path, name):
    require_mosquitto()
    made = deployed(tmp_path)
    changes, words = REFUSALS[name]
    environment = {**settings(made.env("edge-1").read_text("utf-8")), **changes}
    if scheme := environment.pop("scheme", None):
        environment["SHOPFLOOR_MQTT_URL"] = f"{scheme}://127.0.0.1:{made.port}"
    broker = await made.broker()
    try:
        with service(tmp_path, EDGE, environment) as say:
            said = say(words)
    finally:
        await broker.stop()
    assert sum(words in line for line in said) == 1
    assert not any(SECRET in line for line in said)


@pytest.mark.parametrize(
    ("command", "user", "words"),
    [
        (EDGE, "edge-2", "agent edge-1 uses the MQTT user edge-2"),
        (SERVE, "edge-1", "ingest uses the MQTT user of agent edge-1"),
    ],
)
async def test_a_service_with_another_one_s_user_is_told_what_it_cannot_do(tmp_path, command, user, words):
    require_mosquitto()
    made = deployed(tmp_path)
    with service(tmp_path, command, settings(made.env(user).read_text("utf-8"))) as say:
        said = say("nobody listens at port")
    assert sum(words in line for line in said) == 1
