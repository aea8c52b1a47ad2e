"""``shopfloor dashboards push`` on a server that speaks Grafana's API; SHOPFLOOR_TEST_GRAFANA_URL names a real one."""

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from cli.main import main
from tests.filled_plant import PLANT_FILE
from tests.grafana_server import GrafanaServer, running

REAL = os.environ.get("SHOPFLOOR_TEST_GRAFANA_URL", "")
ONLY_OURS = pytest.mark.skipif(bool(REAL), reason="a real Grafana cannot be made so")
BOARD = "shopfloor-overview-en"


class Server:
    """A Grafana, ours or a real one, asked without the client library."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.url}/api/{path}", data, headers, method=method), timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def forget(self, path: str) -> None:
        try:
            self.ask("DELETE", path)
        except HTTPError as fault:
            if fault.code != 404:
                raise


@pytest.fixture
def ours() -> Iterator[GrafanaServer]:
    with running(GrafanaServer("t0ken")) as server:
        yield server


@pytest.fixture
def grafana(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Server:
    if REAL:
        server = Server(REAL.rstrip("/"), os.environ["SHOPFLOOR_TEST_GRAFANA_TOKEN"])
        server.forget("v1/provisioning/policies")
        for channel in ("webhook", "whatsapp", "email", "telegram"):
            server.forget(f"v1/provisioning/contact-points/shopfloor-{channel}")
        for language in ("en", "id"):
            server.forget(f"v1/provisioning/templates/shopfloor-{language}")
        for folder in ("en", "id", "alerts"):
            server.forget(f"folders/shopfloor-{folder}?forceDeleteRules=true")
        server.forget("datasources/uid/shopfloor-influxdb")
    else:
        ours = request.getfixturevalue("ours")
        server = Server(ours.url, ours.token)
    monkeypatch.setenv("SHOPFLOOR_GRAFANA_URL", server.url)
    monkeypatch.setenv("SHOPFLOOR_GRAFANA_TOKEN", server.token)
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN", "http://influxdb.plant.lan:8086/shopfloor")
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN_READER_USERNAME", "reader")
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN_READER_PASSWORD", "s3cret")
    return server


def push(*more: str) -> int:
    return main(["dashboards", "push", str(PLANT_FILE), *more])


def test_a_second_push_changes_nothing_and_says_so(grafana, capsys):
    assert push() == 0
    first = capsys.readouterr().out
    assert f"board {BOARD} (Plant overview): made" in first
    assert "0 changed, 0 unchanged" in first
    assert push() == 0
    second = capsys.readouterr().out.splitlines()
    assert len(second) == 2
    assert second[1].startswith("nothing to do: all ")
    stored = grafana.ask("GET", f"dashboards/uid/{BOARD}")
    assert stored["dashboard"]["version"] == 1
    assert stored["meta"]["folderUid"] == "shopfloor-en"
    source = grafana.ask("GET", "datasources/uid/shopfloor-influxdb")
    assert (source["url"], source["jsonData"]["dbName"]) == ("http://influxdb.plant.lan:8086", "shopfloor")
    assert source["secureJsonFields"] == {"password": True}
    assert "s3cret" not in first + json.dumps(source)


def test_what_somebody_changed_is_told_and_put_right(grafana, capsys):
    assert push() == 0
    board = grafana.ask("GET", f"dashboards/uid/{BOARD}")["dashboard"]
    title = board["panels"][1]["title"]
    board["panels"][1]["title"] = "Mine"
    grafana.ask("POST", "dashboards/db", {"dashboard": board, "folderUid": "shopfloor-en", "overwrite": True})
    grafana.ask("PUT", "folders/shopfloor-id", {"title": "Punya saya", "overwrite": True})
    capsys.readouterr()
    assert push("--dry-run", "--diff") == 0
    told = capsys.readouterr().out
    assert f"board {BOARD} (Plant overview): would be changed" in told
    assert '-   "title": "Mine"' in told
    assert f'+   "title": "{title}"' in told
    assert "nothing was written; it would be: 0 made, 2 changed" in told
    assert grafana.ask("GET", f"dashboards/uid/{BOARD}")["dashboard"]["panels"][1]["title"] == "Mine"
    assert push() == 0
    assert "0 made, 2 changed" in capsys.readouterr().out
    assert grafana.ask("GET", f"dashboards/uid/{BOARD}")["dashboard"]["panels"][1]["title"] == title
    assert grafana.ask("GET", "folders/shopfloor-id")["title"] == "Lantai produksi"


def test_a_dry_run_writes_nothing(grafana, capsys):
    assert push("--dry-run") == 0
    assert f"board {BOARD} (Plant overview): would be made" in capsys.readouterr().out
    with pytest.raises(HTTPError, match="404"):
        grafana.ask("GET", f"dashboards/uid/{BOARD}")


def test_secrets_are_sent_again_only_when_asked(grafana, monkeypatch, capsys):
    assert push() == 0
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN_READER_PASSWORD", "an0ther")
    capsys.readouterr()
    assert push() == 0
    assert "nothing to do" in capsys.readouterr().out
    assert push("--secrets") == 0
    assert "data source shopfloor-influxdb (shopfloor): changed" in capsys.readouterr().out


@ONLY_OURS
def test_a_secret_that_is_sent_again_arrives(grafana, ours, monkeypatch):
    assert push() == 0
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN_READER_PASSWORD", "an0ther")
    assert push() == 0
    assert ours.passwords["shopfloor-influxdb"] == {"password": "s3cret"}
    assert push("--secrets") == 0
    assert ours.passwords["shopfloor-influxdb"] == {"password": "an0ther"}


@ONLY_OURS
def test_a_token_of_influxdb_goes_into_a_header(grafana, ours, monkeypatch):
    monkeypatch.delenv("SHOPFLOOR_HISTORIAN_READER_USERNAME")
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN_TOKEN", "influx-t0ken")
    assert push() == 0
    assert ours.passwords["shopfloor-influxdb"] == {"httpHeaderValue1": "Token influx-t0ken"}
    assert ours.sources["shopfloor-influxdb"]["jsonData"]["httpHeaderName1"] == "Authorization"


def test_without_a_historian_the_data_source_is_left_alone(grafana, monkeypatch):
    monkeypatch.delenv("SHOPFLOOR_HISTORIAN")
    assert push() == 0
    with pytest.raises(HTTPError, match="404"):
        grafana.ask("GET", "datasources/uid/shopfloor-influxdb")


@ONLY_OURS
def test_under_a_path_prefix(monkeypatch, capsys):
    with running(GrafanaServer("t0ken"), prefix="/plant/grafana") as server:
        monkeypatch.setenv("SHOPFLOOR_GRAFANA_URL", server.url)
        monkeypatch.setenv("SHOPFLOOR_GRAFANA_TOKEN", "t0ken")
        assert push() == 0
    assert BOARD in server.boards


# ---------------------------------------------------------------- alerting


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "WEBHOOK_URL": "https://andon.plant.lan/hook?key=hidden-key",
        "WHATSAPP_URL": "https://gateway.plant.lan/send",
        "WHATSAPP_TOKEN": "wa-s3cret",
        "EMAIL": "shift@plant.lan;works@plant.lan",
        "TELEGRAM_TOKEN": "123:tg-s3cret",
        "TELEGRAM_CHAT": "-100200300",
    }.items():
        monkeypatch.setenv(f"SHOPFLOOR_ALERT_{name}", value)


def test_rules_words_channels_and_their_route(grafana, channels, capsys):
    assert push("--diff") == 0
    told = capsys.readouterr().out
    assert not any(secret in told for secret in ("hidden-key", "wa-s3cret", "tg-s3cret", "shift@", "-100200300"))
    assert push() == 0
    assert "nothing to do" in capsys.readouterr().out
    group = grafana.ask("GET", "v1/provisioning/folder/shopfloor-alerts/rule-groups/shopfloor")
    titles = {rule["title"] for rule in group["rules"]}
    assert {"Berhenti tak terencana 15 menit", "OEE gilir di bawah target"} <= titles
    assert "Agen diam 5 menit: edge-ceper-1" in titles
    assert group["interval"] == 60
    found = {each["uid"]: each for each in grafana.ask("GET", "v1/provisioning/contact-points")}
    assert {each["type"] for uid, each in found.items() if uid.startswith("shopfloor-")} == {
        "webhook",
        "email",
        "telegram",
    }
    assert 'template "shopfloor.id.message"' in found["shopfloor-telegram"]["settings"]["message"]
    routes = grafana.ask("GET", "v1/provisioning/policies")["routes"]
    assert [route["receiver"] for route in routes] == ["shopfloor"]


def test_others_routes_stay_and_ours_comes_first(grafana, channels, capsys):
    assert push() == 0
    tree = grafana.ask("GET", "v1/provisioning/policies")
    theirs = {"receiver": tree["receiver"], "object_matchers": [["team", "=", "office"]]}
    grafana.ask("PUT", "v1/provisioning/policies", {**tree, "routes": [theirs]})
    capsys.readouterr()
    assert push() == 0
    assert "route of alerts shopfloor (shopfloor): made" in capsys.readouterr().out
    routes = grafana.ask("GET", "v1/provisioning/policies")["routes"]
    assert [route["receiver"] for route in routes] == ["shopfloor", tree["receiver"]]


def test_another_limit_changes_its_rule_alone(grafana, tmp_path, capsys):
    assert push() == 0
    file = tmp_path / "plant.yaml"
    text = PLANT_FILE.read_text("utf-8")
    file.write_text(text.replace("agent_silent: 5min", "agent_silent: 7min"), "utf-8")
    capsys.readouterr()
    assert main(["dashboards", "push", str(file), "--diff"]) == 0
    told = capsys.readouterr().out
    assert "0 made, 1 changed" in told
    assert '+   "title": "Agen diam 7 menit: edge-ceper-1"' in told
    file.write_text(text.replace("alerts: {limits: {temperature_c: {high: 1560}}}", ""), "utf-8")
    assert main(["dashboards", "push", str(file)]) == 0
    group = grafana.ask("GET", "v1/provisioning/folder/shopfloor-alerts/rule-groups/shopfloor")
    assert not any("temperature_c" in rule["title"] for rule in group["rules"])


def test_without_channels_grafanas_own_contact_point_stays(grafana):
    before = grafana.ask("GET", "v1/provisioning/policies")
    assert push() == 0
    assert grafana.ask("GET", "v1/provisioning/policies") == before


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TELEGRAM_TOKEN", "123:x", "set SHOPFLOOR_ALERT_TELEGRAM_CHAT too"),
        ("WEBHOOK_URL", "andon.plant.lan", "SHOPFLOOR_ALERT_WEBHOOK_URL is no address"),
        ("LANGUAGE", "jv", "write en or id"),
    ],
)
def test_a_channel_that_leads_nowhere(grafana, monkeypatch, capsys, name, value, words):
    monkeypatch.setenv(f"SHOPFLOOR_ALERT_{name}", value)
    assert words in refused(capsys)


# ---------------------------------------------------------------- what goes wrong is one line


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    assert push() == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_wrong_token(grafana, monkeypatch, capsys):
    monkeypatch.setenv("SHOPFLOOR_GRAFANA_TOKEN", "other")
    line = refused(capsys)
    assert "does not know the token" in line
    assert "other" not in line


def test_no_token(grafana, monkeypatch, capsys):
    monkeypatch.delenv("SHOPFLOOR_GRAFANA_TOKEN")
    assert "SHOPFLOOR_GRAFANA_TOKEN is not set" in refused(capsys)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "does not answer; is Grafana running"),
        ("http://no-such-host.invalid:3000", "does not answer"),
        ("127.0.0.1:3000", "is no address; write http://host:3000"),
        ("http://admin:admin@127.0.0.1:3000", "holds a user"),
    ],
)
def test_a_wrong_address(grafana, monkeypatch, capsys, url, words):
    monkeypatch.setenv("SHOPFLOOR_GRAFANA_URL", url)
    assert words in refused(capsys)


@pytest.mark.parametrize("url", ["/home", "http://user:pw@influxdb:8086/db", "http://influxdb:8086"])
def test_a_historian_that_no_board_can_read(grafana, monkeypatch, capsys, url):
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN", url)
    assert "must be http://host:8086/DATABASE" in refused(capsys)


@ONLY_OURS
def test_what_is_no_grafana(ours, grafana, monkeypatch, capsys):
    monkeypatch.setenv("SHOPFLOOR_GRAFANA_URL", f"{ours.url}/other")
    assert "is it a Grafana?" in refused(capsys)


@ONLY_OURS
@pytest.mark.parametrize("version", ["8.5.27", "9.3.16"])
def test_an_old_grafana(ours, grafana, capsys, version):
    ours.version = version
    assert f"is Grafana {version}; push needs 9.4 or newer" in refused(capsys)
    assert ours.calls == []


@ONLY_OURS
def test_a_grafana_without_a_plugin(ours, grafana, capsys):
    ours.plugins = tuple(each for each in ours.plugins if each != "influxdb")
    assert "lacks the core plugin influxdb" in refused(capsys)
    assert ours.calls == []


@ONLY_OURS
def test_a_token_that_may_only_look(ours, grafana, capsys):
    ours.role = "Viewer"
    assert "may not write folder shopfloor-en" in refused(capsys)


@ONLY_OURS
def test_a_board_that_comes_from_files(ours, grafana, capsys):
    ours.from_files.add(BOARD)
    assert "it comes from files of that server" in refused(capsys)


def test_a_folder_of_somebody_else_that_has_our_name(grafana, capsys):
    grafana.forget("folders/theirs")
    grafana.ask("POST", "folders", {"uid": "theirs", "title": "Lantai produksi"})
    try:
        assert "that name is taken by another" in refused(capsys)
    finally:
        grafana.forget("folders/theirs")
