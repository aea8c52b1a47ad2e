"""deploy/: what starts a plant. Every file is read as the tool reads it that will run it.

Compose files are validated by compose-spec, the specification's own model in a wheel: neither Docker nor a network is
needed (docs/decisions/0050).
"""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose

from cli.parsers import parser
from cli.plant_pc import CHOICES, SECRETS
from cli.secret_files import settings
from tests.two_agents import deployed

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = ("compose.yaml", "compose.influxdb2.yaml")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
REMEDY = "run: shopfloor deploy init"
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::(?P<kind>[?-])((?:[^{}]|\$\{[^{}]*\})*))?\}")
OURS = "shopfloor:"


def tool(name: str) -> str:
    """A program of Debian's; in CI its absence is a failure."""
    found = shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{name} is not installed")
    return found


def scripts() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout.decode()
    paths = [ROOT / name for name in listed.split("\0") if name] or list(ROOT.glob("deploy/**/*"))
    return [path for path in paths if path.is_file() and re.match(rb"#!.*\b(ba|da)?sh\b", path.read_bytes()[:64])]


def text(name: str) -> str:
    return (DEPLOY / name).read_text("utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What ``shopfloor deploy init`` wrote."""
    return deployed(tmp_path_factory.mktemp("pc"), "--host", "pc.lan", "--host", "mosquitto", "--services-port", "8884")


@pytest.fixture(scope="module")
def env(made):
    return settings((made.directory / ".env").read_text("utf-8"))


def expanded(content: str, env: dict[str, str]) -> str:
    """As Compose does it: a required variable without value ends it with its message."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match[1], match["kind"], match[3]
        if env.get(name):
            return env[name]
        if kind == "-":
            return expanded(rest, env)
        raise KeyError(f"{name}: {rest}")

    return VARIABLE.sub(value, content).replace("$$", "$")


def loaded(name: str, env: dict[str, str]) -> dict:
    return yaml.safe_load(expanded(text(name), env))


def merged(env: dict[str, str], *names: str) -> dict:
    """Services with the overrides applied: mappings key by key, lists appended, all else replaced."""
    first, *rest = (loaded(name, env)["services"] for name in names)
    for override in rest:
        for service, more in override.items():
            for key, value in more.items():
                old = first[service].get(key)
                if isinstance(old, dict):
                    first[service][key] = old | value
                elif isinstance(old, list) and key == "volumes":
                    first[service][key] = old + value
                else:
                    first[service][key] = value
    return first


@pytest.fixture(scope="module", params=[COMPOSE[:1], COMPOSE], ids=["influxdb 1.8", "influxdb 2.7"])
def services(request, env):
    return merged(env, *request.param)


# ---------------------------------------------------------------- scripts


def test_every_shell_script_passes_shellcheck():
    found = scripts()
    assert {path.name for path in found} >= {"up", "backup", "restore", "edge-install", "activate", "debian-packages"}
    done = subprocess.run([tool("shellcheck"), *found], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_script_may_be_executed():
    assert all(os.access(path, os.X_OK) for path in scripts())


def run(script, *arguments, path=None, **environment):
    clean = {"PATH": path or os.environ["PATH"], "HOME": "/nonexistent", **environment}
    return subprocess.run(
        ["/bin/bash", DEPLOY / script, *arguments], capture_output=True, text=True, check=False, env=clean, timeout=60
    )


@pytest.fixture
def bare(tmp_path):
    """A PATH with the usual small programs and without Docker."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("dirname", "realpath", "sed", "id", "date", "mkdir", "rm", "tr", "basename", "grep"):
        (folder / name).symlink_to(shutil.which(name))
    return str(folder)


MISTAKES = [
    ("up", [], 1, "Docker is not installed"),
    ("up", ["--plan", "x"], 2, "there is no option --plan"),
    ("up", ["--host"], 2, "--host needs a value"),
    ("backup", [], 2, "say where to"),
    ("restore", [], 2, "say from where"),
    ("restore", ["nowhere"], 2, "is no backup"),
    ("edge-install", [], 2, "say which"),
    ("edge-install", ["nowhere", "plant.yaml"], 2, "is no agent's folder"),
]


@pytest.mark.parametrize(("script", "arguments", "code", "words"), MISTAKES)
def test_a_mistake_is_one_line_that_says_what_to_do(bare, script, arguments, code, words):
    done = run(script, *arguments, path=bare)
    assert done.returncode == code
    [line] = done.stderr.splitlines()
    assert line.startswith(f"deploy/{script}: ")
    assert words in line


DOCKER = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
  *" deploy init "*) for each in BIND API_PORT GRAFANA_PORT; do echo "SHOPFLOOR_$each=1" >>"$FILES/.env"; done ;;
  *" dashboards render "*) mkdir -p "$FILES/dashboards/alerting"; cp "$PLANT" "$FILES/dashboards/alerting/rules.yaml" ;;
  *" ps --services "*) printf 'api\ninfluxdb\ningest\n' ;;
esac
"""
"""Stands for Docker, which no test has: it tells what it was asked for."""


def test_a_plant_pc_gets_its_own_boards_and_takes_up_a_changed_plant_file(tmp_path):
    here, calls, plant = tmp_path / "deploy", tmp_path / "calls", tmp_path / "plant.yaml"
    here.mkdir()
    shutil.copy(DEPLOY / "up", here)
    (tmp_path / "pyproject.toml").write_text('version = "1.2.3"\n')
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    asked = []
    for content in ("one", "one", "two"):
        plant.write_text(content)
        calls.write_text("")
        done = run(
            here / "up", "--plant", plant, path=f"{docker.parent}:{os.environ['PATH']}",
            CALLS=str(calls), FILES=str(here / "generated"), PLANT=str(plant),
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        asked.append(calls.read_text().splitlines())
    for each in asked:
        [line] = [line for line in each if " dashboards render " in line]
        assert line.endswith(f" dashboards render {plant} --output {here / 'generated' / 'dashboards'}")
    again = [[line for line in each if "HUP" in line or "restart" in line] for each in asked]
    assert again == [[], [], ["compose kill --signal HUP mosquitto", "compose restart api ingest"]]


# ---------------------------------------------------------------- compose


@pytest.mark.parametrize("name", COMPOSE)
def test_a_compose_file_is_what_the_specification_allows(name, env):
    compose = PyCompose.from_yaml(yaml.safe_dump(loaded(name, env)))
    compose.validate()
    assert set(compose.service_names()) == set(loaded(name, env)["services"])


WRONG = [
    ("an unknown key", "mem_limit: 1g", "memory_limit: 1g"),
    ("an unknown condition", "condition: service_healthy", "condition: service_wealthy"),
    ("no amount of memory", "mem_limit: 1g", "mem_limit: much"),
    ("an unknown volume", "- grafana-data:", "- grafana-date:"),
]


@pytest.mark.parametrize(("right", "wrong"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_the_validation_sees_mistakes(env, right, wrong):
    content = text("compose.yaml")
    assert right in content
    broken = yaml.safe_load(expanded(content.replace(right, wrong), env))
    with pytest.raises(Exception, match=r".+"):
        PyCompose.from_yaml(yaml.safe_dump(broken)).validate()


def test_every_variable_is_written_by_deploy_init_and_its_absence_says_so(env):
    used = {name: list(VARIABLE.finditer(text(name))) for name in COMPOSE}
    for match in (match for matches in used.values() for match in matches):
        required = match[0] if match["kind"] == "?" else match[3]
        assert REMEDY in required, match[0]
    names = set(re.findall(r"\$\{(\w+):\?", "".join(map(text, COMPOSE))))
    assert names <= env.keys()
    assert all(env[name] for name in names)
    for name in names - {"SHOPFLOOR_HISTORIAN_TOKEN", "SHOPFLOOR_HISTORIAN_ORG", "SHOPFLOOR_INFLUXDB2_START"}:
        with pytest.raises(KeyError, match=f"{name}: {REMEDY}"):
            expanded(text("compose.yaml"), {**env, name: ""})


def test_what_deploy_init_writes_is_used(env):
    used = "".join(map(text, COMPOSE))
    assert [name for name in env if name != "COMPOSE_FILE" and f"${{{name}" not in used] == []


def arguments_of(words: list[str]):
    """Parsed by the real command line; an error of its is a failure here."""
    return parser().parse_args(words)


def test_each_of_our_services_runs_a_command_of_shopfloor(services):
    ours = {name: service for name, service in services.items() if service["image"].startswith(OURS)}
    started = {name: arguments_of(service["command"]) for name, service in ours.items() if name != "volumes"}
    assert started.keys() == {"historian-init", "ingest", "api", "simulators", "simulated-agent", "agent"}
    assert started["api"].host == "0.0.0.0"
    assert started["historian-init"].raw_retention_ms == 400 * 86_400_000
    assert started["agent"].agent == "edge-1"
    assert all(str(each.plant) == "/etc/shopfloor/plant.yaml" for each in started.values())


def test_nothing_but_what_gives_volumes_away_is_root_and_nothing_has_rights_it_does_not_need(services, made):
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"], name
        assert service["pids_limit"], name
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert not service.get("privileged"), name
    rooted = [name for name, service in services.items() if service["user"].startswith("0:")]
    owner = (made.directory / "mosquitto" / "users").stat()
    assert services["mosquitto"]["user"] == f"{owner.st_uid}:{owner.st_gid}"
    assert set(rooted) - {"mosquitto"} == {"volumes"}
    assert services["volumes"]["network_mode"] == "none"
    assert [name for name, service in services.items() if "cap_add" in service] == ["volumes"]


def test_images_are_pinned_to_a_release(services, env):
    for name, service in services.items():
        assert re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+", service["image"]), name
    assert env["SHOPFLOOR_VERSION"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_only_chosen_ports_are_published_and_on_loopback_unless_a_person_says_otherwise(services):
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {
        "mosquitto": ["127.0.0.1:8883:8883"],
        "api": ["127.0.0.1:8080:8080"],
        "grafana": ["127.0.0.1:3000:3000"],
    }


def test_health_checks_ask_pages_that_exist(services):
    docker = text("Dockerfile")
    assert "'/health/ready'" in docker
    for name in ("ingest", "api", "agent", "simulated-agent"):
        host, port = services[name]["environment"]["SHOPFLOOR_HEALTH"].split(":")
        assert (host, int(port) > 1_024) == ("127.0.0.1", True), name
        assert "healthcheck" not in services[name], name
    assert services["api"]["environment"]["SHOPFLOOR_HEALTH"].endswith(
        str(arguments_of(services["api"]["command"]).port)
    )
    waited = {
        target
        for service in services.values()
        for target, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }
    assert all(services[target]["healthcheck"].get("test") for target in waited)


def test_what_ends_is_waited_for_by_something_that_stays(services):
    """Else `up --wait` takes its end for a failure."""
    for name in ("volumes", "historian-init"):
        adopted = [
            other
            for other, service in services.items()
            if service.get("depends_on", {}).get(name) == {"condition": "service_completed_successfully"}
        ]
        assert {"ingest", "grafana"} <= set(adopted), name


def test_the_broker_reads_its_files_where_they_are_and_has_the_port_of_the_services(services, made):
    config = Path(services["mosquitto"]["command"][1])
    content = config.read_text("utf-8")
    assert services["mosquitto"]["volumes"] == [f"{config.parent}:{config.parent}:ro"]
    assert all(Path(path).is_file() for path in re.findall(rf"{re.escape(str(made.directory))}\S+", content))
    ports = set(map(int, re.findall(r"^listener (\d+)", content, re.MULTILINE)))
    assert {8884} <= ports
    assert services["ingest"]["environment"]["SHOPFLOOR_MQTT_URL"] == "mqtts://mosquitto:8884"


def test_no_secret_is_written_down_in_the_repository(env):
    files = "".join(
        path.read_text("utf-8") for path in DEPLOY.rglob("*") if path.is_file() and "generated" not in str(path)
    )
    assert not re.search(
        r"(?i)(password|token|secret|key)\w*:\s*[\"']?(?!\$\{)(?!\s*$)[A-Za-z0-9]{3,}", "".join(map(text, COMPOSE))
    )
    assert not any(env[name] in files for name in SECRETS)


def test_the_image_holds_every_package_and_names_no_registry():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert ignored[1] == "*"
    assert {f"!{package}/" for package in packages} <= set(ignored)
    docker = text("Dockerfile")
    assert "://" not in re.sub(r"'http://' \+ os.environ", "", docker)
    assert re.findall(r"^FROM (\S+)", docker, re.MULTILINE) == ["python:3.11.14-slim-bookworm"] * 2
    assert re.findall(r"^(?:ENTRYPOINT|USER) (.*)", docker, re.MULTILINE) == ["10001:10001", '["shopfloor"]']


# ---------------------------------------------------------------- .env


def test_what_is_there_stays_and_what_is_missing_is_added(tmp_path, capsys):
    made = deployed(tmp_path)
    file = made.directory / ".env"
    assert file.stat().st_mode & 0o777 == 0o600
    before = settings(file.read_text("utf-8"))
    assert len({before[name] for name in SECRETS}) == len(SECRETS)
    assert all(len(before[name]) >= 32 for name in SECRETS)
    own = {"SHOPFLOOR_BIND": "192.0.2.5", "SHOPFLOOR_GRAFANA_PASSWORD": "a person's"}
    lines = [line for line in file.read_text().splitlines() if not line.startswith("SHOPFLOOR_HISTORIAN_TOKEN")]
    lines = [line for line in lines if line.partition("=")[0] not in own]
    file.write_text(
        "\n".join(
            [
                *lines,
                "# ours",
                "SHOPFLOOR_BIND=192.0.2.5",
                'SHOPFLOOR_GRAFANA_PASSWORD="a person\'s"',
                "TZ=Asia/Jakarta",
            ]
        )
    )
    capsys.readouterr()
    assert made.init() == 0
    after = settings(file.read_text("utf-8"))
    assert {name for name in before if after[name] != before[name]} == {*own, "SHOPFLOOR_HISTORIAN_TOKEN"}
    assert {name: after[name] for name in own} == own
    assert "# ours" in file.read_text("utf-8")
    assert after["TZ"] == "Asia/Jakarta"
    [line, *_] = capsys.readouterr().out.splitlines()
    assert line == f"{file}: SHOPFLOOR_HISTORIAN_TOKEN set"


def test_every_choice_is_documented():
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    assert [name for name in (*CHOICES, *SECRETS, "SHOPFLOOR_AGENT") if f"`{name}`" not in page] == []


# ---------------------------------------------------------------- edge boxes


def started_by(unit: Path, agent: str = "edge-1") -> list[str]:
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str
    read.read_string(unit.read_text("utf-8"))
    words = read["Service"]["ExecStart"].replace("%i", agent).split()
    return words[words.index("/usr/local/lib/shopfloor/bin/shopfloor") + 1 :]


def test_each_unit_starts_a_command_of_shopfloor():
    started = {unit.name: arguments_of(started_by(unit)) for unit in UNITS}
    assert started.keys() == {"shopfloor-edge@.service", "shopfloor-ingest.service", "shopfloor-api.service"}
    assert started["shopfloor-edge@.service"].agent == "edge-1"


def test_an_edge_box_may_ask_the_kernel_whether_its_clock_is_right():
    """systemd kills a process for any call beyond its filter, and ProtectClock takes this one away."""
    unit = (DEPLOY / "systemd" / "shopfloor-edge@.service").read_text("utf-8").splitlines()
    (allowed,) = [line.partition("=")[2].split() for line in unit if line.startswith("SystemCallFilter=")]
    assert {"adjtimex", "clock_adjtime", "clock_adjtime64"} <= {*allowed}
    assert "CapabilityBoundingSet=" in unit
    assert "ProtectClock=yes" not in unit


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_the_unit(tmp_path, unit):
    content = unit.read_text("utf-8").replace("/usr/local/lib/shopfloor/bin/shopfloor", "/bin/true")
    (tmp_path / unit.name).write_text(content.replace("file:/usr/local/share/doc", "file:/usr/share/doc"))
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", tmp_path / unit.name.replace("@", "@edge-1")],
        capture_output=True, text=True, check=False, env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if unit.name.split(".")[0].rstrip("@") in line]
    assert (done.returncode, told) == (0, [])


def test_an_edge_box_gets_what_its_unit_names(made, tmp_path):
    root = tmp_path / "card"
    program = root / "usr/local/lib/shopfloor/bin/shopfloor"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli.main "$@"\n')
    program.chmod(0o755)
    agent = made.env("edge-1").parent
    done = run("edge-install", agent, made.plant, DESTDIR=str(root), PACKAGES="no", PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stderr) == (0, "")
    unit = (root / "etc/systemd/system/shopfloor-edge@.service").read_text().replace("%i", "edge-1")
    named = re.findall(r"^(?:EnvironmentFile=|LoadCredential=ca.crt:)(\S+)", unit, re.MULTILINE)
    assert len(named) == 3
    assert all((root / name.lstrip("/")).is_file() for name in [*named, "/etc/shopfloor/plant.yaml"])
    assert (root / "etc/shopfloor/agents/edge-1/agent.env").stat().st_mode & 0o777 == 0o600
    plant = root / "etc/shopfloor/plant.yaml"
    again = run(
        "edge-install", root / "etc/shopfloor/agents/edge-1", plant,
        DESTDIR=str(root), PACKAGES="no", PYTHONPATH=str(ROOT),
    )  # fmt: skip
    assert (again.returncode, again.stderr, plant.read_bytes()) == (0, "", made.plant.read_bytes())
    another = run("edge-install", made.directory / "agents", made.plant, DESTDIR=str(root), PACKAGES="no")
    assert (another.returncode, "agent.env is missing" in another.stderr) == (2, True)


def test_a_box_whose_plant_file_is_wrong_is_left_as_it_is(made, tmp_path):
    root, plant = tmp_path / "card", tmp_path / "plant.yaml"
    plant.write_text(json.dumps({"enterprise": "works"}))
    program = root / "usr/local/lib/shopfloor/bin/shopfloor"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli.main "$@"\n')
    program.chmod(0o755)
    done = run("edge-install", made.env("edge-1").parent, plant, DESTDIR=str(root), PACKAGES="no", PYTHONPATH=str(ROOT))
    assert done.returncode == 2
    assert "the plant file has mistakes" in done.stderr
    assert not (root / "etc").exists()
