from pathlib import Path

from cli.plants import load_plant
from messaging.mosquitto_files import Certified, Listener, acl, configuration, matches, password_line
from messaging.payload import MAX_MESSAGE_BYTES
from messaging.rights import INGEST, rights_of

PLANT = load_plant(Path(__file__).parents[3] / "plants" / "ceper" / "plant.yaml")


def lines(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_rights_of_a_plant_name_every_unit_of_every_agent_and_nothing_wider():
    text = lines(acl(rights_of(PLANT)))
    written = [line.split()[-1] for line in text if line.startswith("topic write")]
    units = [f"v1/logam-jaya/{unit}/samples/edge-ceper-1" for unit in PLANT.units]
    assert written == ["v1/receipts/edge-ceper-1", "v1/ingest/+", *units, "v1/agents/edge-ceper-1"]
    assert [topic for topic in written if "#" in topic or "+" in topic] == ["v1/ingest/+"]
    assert text.index(f"user {INGEST}") < text.index("user edge-ceper-1")
    assert text[-1] == "topic read v1/receipts/edge-ceper-1"


def test_a_broker_is_never_open_and_every_limit_is_a_number_above_nothing():
    listeners = [Listener("a", 1), Listener("b", 2, Certified(Path("/c"), Path("/k")), own_names=True)]
    text = lines(configuration(listeners, user="mosquitto", users=Path("/u"), acl=Path("/r")))
    assert {"allow_anonymous false", "persistence false", "listener 1 127.0.0.1", "use_username_as_clientid true"} <= {
        *text
    }
    limits = {name: int(value) for name, value in (line.split() for line in text if line.split()[0].startswith("max_"))}
    assert all(value > 0 for value in limits.values())
    sizes = dict(line.split() for line in text if "_size" in line)
    assert MAX_MESSAGE_BYTES < int(sizes["message_size_limit"]) < int(sizes["max_packet_size"])


def test_a_hash_fits_its_password_alone_and_is_never_the_same_twice():
    first, second = password_line("u", "secret"), password_line("u", "secret")
    assert first != second
    assert matches(first, "secret")
    assert not matches(first, "Secret")
    assert not any(matches(broken, "secret") for broken in ("", "u", "u:", "u:$7$101", "u:$6$a$b", "u:$7$101$x$y"))
    assert "secret" not in first
