"""``shopfloor deploy init``: what it writes, what it keeps, what it tells."""

import stat

import pytest

from cli import certificates
from cli.certificates import Signed
from cli.main import main
from cli.secret_files import merged, settings
from messaging.mosquitto_files import matches
from messaging.rights import INGEST
from shopfloor.clock import SystemClock
from shopfloor.instant import HOUR
from tests.two_agents import AGENTS, deployed, plant_text

DAY = 24 * HOUR
NOW = SystemClock().now()


@pytest.fixture
def plant_files(tmp_path, capsys):
    made = deployed(tmp_path)
    capsys.readouterr()
    return made


def contents(made):
    return {path: path.read_bytes() for path in made.directory.rglob("*") if path.is_file()}


def passwords(made):
    return {user: made.access(user).password for user in (INGEST, *AGENTS)}


def users(made):
    lines = (made.directory / "mosquitto" / "users").read_text("utf-8").splitlines()
    return {line.split(":")[0]: line for line in lines}


def certificate(made):
    home = made.directory / "mosquitto"
    return Signed((home / "server.crt").read_bytes(), (home / "server.key").read_bytes())


def test_every_user_has_a_password_of_its_own_and_the_broker_only_its_hash(plant_files):
    own = passwords(plant_files)
    assert len(set(own.values())) == len(own) == 3
    assert all(len(password) >= 32 for password in own.values())
    assert users(plant_files).keys() == own.keys()
    assert all(matches(users(plant_files)[user], password) for user, password in own.items())
    assert not matches(users(plant_files)["edge-1"], own["edge-2"])


def test_secrets_are_readable_by_their_owner_alone(plant_files):
    public = {"ca.crt"}
    for path in plant_files.directory.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_file():
            assert mode == (0o644 if path.name in public else 0o600), path
        else:
            assert mode == 0o700, path


def test_no_secret_is_printed(plant_files, capsys):
    assert plant_files.init("--rotate", "edge-1") == 0
    told = "".join(capsys.readouterr())
    assert "edge-1" in told
    secrets = [*passwords(plant_files).values()]
    secrets += [settings((plant_files.directory / "api.env").read_text())["SHOPFLOOR_API_KEY"]]
    assert not any(secret in told for secret in secrets)


def test_run_again_it_changes_nothing(plant_files, capsys):
    before = contents(plant_files)
    assert plant_files.init() == 0
    assert contents(plant_files) == before
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_new_agent_is_added_and_a_gone_one_loses_its_rights(plant_files, capsys):
    before, lines = passwords(plant_files), users(plant_files)
    plant_files.plant.write_text(plant_text({"edge-1": ("u1", "u2", "u3"), "edge-3": ("u4",)}), "utf-8")
    assert plant_files.init() == 0
    rights = (plant_files.directory / "mosquitto" / "rights").read_text("utf-8")
    assert users(plant_files).keys() == {INGEST, "edge-1", "edge-3"}
    assert users(plant_files)["edge-1"] == lines["edge-1"]
    assert plant_files.access("edge-1").password == before["edge-1"]
    assert "edge-2" not in rights
    assert "topic write v1/works/site/area/line/u3/samples/edge-1\n" in rights
    told = capsys.readouterr().out
    assert "edge-2: gone" in told
    assert "systemctl reload" in told


def test_settings_that_were_moved_to_their_machine_keep_their_password(plant_files, capsys):
    line = users(plant_files)["edge-1"]
    plant_files.env("edge-1").unlink()
    assert plant_files.init() == 0
    assert users(plant_files)["edge-1"] == line
    assert not plant_files.env("edge-1").exists()
    assert "--rotate edge-1" in capsys.readouterr().out
    assert plant_files.init("--rotate", "edge-1") == 0
    assert users(plant_files)["edge-1"] != line
    assert matches(users(plant_files)["edge-1"], plant_files.access("edge-1").password)


def test_what_a_person_has_added_to_the_settings_stays(plant_files):
    env = plant_files.env(INGEST)
    env.write_text("# ours\nSHOPFLOOR_HISTORIAN=http://127.0.0.1:8086/plant\n" + env.read_text())
    assert plant_files.init("--rotate", INGEST) == 0
    assert env.read_text().startswith("# ours\nSHOPFLOOR_HISTORIAN=http://127.0.0.1:8086/plant\nSHOPFLOOR_MQTT_URL=")


@pytest.mark.parametrize("value", ["plain", "with space", 'quote"d', "back\\slash", "$HOME", "`x`", ""])
def test_settings_are_read_as_they_were_written(value):
    assert settings(merged("", {"NAME": value})) == {"NAME": value}


def test_a_certificate_is_renewed_only_when_it_is_asked_for(plant_files, capsys):
    home = plant_files.directory
    ca = Signed((home / "ca" / "ca.crt").read_bytes(), (home / "ca" / "ca.key").read_bytes())
    old = certificates.server(["127.0.0.1"], ca, NOW - 100 * DAY, days=120)
    (home / "mosquitto" / "server.crt").write_bytes(old.certificate)
    (home / "mosquitto" / "server.key").write_bytes(old.key)
    assert plant_files.init() == 0
    assert certificate(plant_files) == old
    assert "--renew" in capsys.readouterr().out
    assert plant_files.init("--renew") == 0
    assert certificate(plant_files).expires - NOW > 4 * 365 * DAY
    assert certificate(plant_files).is_signed_by(ca)
    fresh = certificate(plant_files)
    assert plant_files.init("--renew") == 0
    assert certificate(plant_files) == fresh


def test_another_host_needs_a_new_certificate_and_the_agents_are_told_its_name(plant_files, capsys):
    assert plant_files.init("--host", "broker.lan", "--host", "192.0.2.7") == 0
    assert "not for broker.lan, 192.0.2.7" in capsys.readouterr().out
    assert plant_files.access("edge-1").url.startswith("mqtts://127.0.0.1:")
    assert plant_files.init("--host", "broker.lan", "--host", "192.0.2.7", "--renew") == 0
    assert certificate(plant_files).hosts == ("broker.lan", "192.0.2.7")
    assert plant_files.access("edge-1").url.startswith("mqtts://broker.lan:")


def test_a_renewed_authority_keeps_its_key_so_that_old_copies_of_it_still_trust_the_broker(plant_files):
    home = plant_files.directory / "ca"
    key = (home / "ca.key").read_bytes()
    old = certificates.authority("works shopfloor CA", NOW - 100 * DAY, key=key, days=120)
    (home / "ca.crt").write_bytes(old.certificate)
    assert plant_files.init("--renew") == 0
    fresh = Signed((home / "ca.crt").read_bytes(), (home / "ca.key").read_bytes())
    assert (fresh.key, fresh.expires > old.expires) == (key, True)
    assert certificate(plant_files).is_signed_by(old)
    assert (plant_files.env("edge-1").parent / "ca.crt").read_bytes() == fresh.certificate


MISTAKES = [
    ([], 2, "--host"),
    (["--host", "two words"], 2, "neither|no host name"),
    (["--host", "b", "--rotate", "edge-9"], 2, "no such user; there are ingest, edge-1, edge-2"),
    (["--host", "b", "--owner", "nobody-of-that-name"], 2, "no such user"),
]


@pytest.mark.parametrize(("more", "code", "words"), MISTAKES)
def test_a_mistake_is_one_clear_line_before_anything_is_written(tmp_path, capsys, more, code, words):
    plant = tmp_path / "plant.yaml"
    plant.write_text(plant_text(), "utf-8")
    assert main(["deploy", "init", str(plant), "--directory", str(tmp_path / "out"), *more]) == code
    [line] = capsys.readouterr().err.splitlines()
    assert any(word in line for word in words.split("|"))
    assert not list((tmp_path / "out").rglob("server.*"))


def test_an_agent_that_is_named_like_the_ingest_user_is_refused(tmp_path, capsys):
    plant = tmp_path / "plant.yaml"
    plant.write_text(plant_text({INGEST: ("u1",)}), "utf-8")
    assert main(["deploy", "init", str(plant), "--directory", str(tmp_path / "out"), "--host", "b"]) == 2
    assert "rename" in capsys.readouterr().err


def test_keys_that_belong_to_no_certificate_are_told_and_kept(plant_files, capsys):
    key = plant_files.directory / "ca" / "ca.key"
    for content in (b"", b"nonsense", certificate(plant_files).key):
        key.write_bytes(content)
        assert plant_files.init() == 1
        [line] = capsys.readouterr().err.splitlines()
        assert "restore them" in line
        assert key.read_bytes() == content
