"""``shopfloor deploy init``: secrets, certificates and the broker's files of a plant, all derived from its plant file.

    DIRECTORY/ca/          the plant's own certificate authority; its key signs and is needed nowhere else
    DIRECTORY/mosquitto/   mosquitto.conf, users, rights, certificate and key: all that the broker reads
    DIRECTORY/agents/A/    agent.env and ca.crt: all that the machine of agent A needs beside the plant file
    DIRECTORY/ingest.env, api.env
    DIRECTORY/.env         what deploy/compose.yaml needs, for a plant PC with Docker

Run again it keeps every secret and certificate, adds new agents and takes the rights of those that are gone.
"""

import argparse
import os
import pwd
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from cli.certificates import Signed, authority, server
from cli.plant_pc import PlantPc, variables
from cli.plants import load_plant
from cli.secret_files import PUBLIC, SECRET, folder, merged, settings, user_id, write
from messaging import mosquitto_files as broker
from messaging.rights import INGEST, Rights, rights_of
from shopfloor.clock import SystemClock
from shopfloor.errors import PlantError, ServiceUnavailable
from shopfloor.instant import Instant, to_datetime
from shopfloor.plant import Plant

BROKER_USER: Final = "mosquitto"
"""The user that Debian's mosquitto becomes."""
_PASSWORD: Final = "SHOPFLOOR_MQTT_PASSWORD"  # noqa: S105 - the name of it
_API_KEY: Final = "SHOPFLOOR_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asked for."""

    plant: Path
    directory: Path
    hosts: Sequence[str] = ()
    port: int = 8883
    local_port: int = 1883
    services_port: int | None = None
    owner: str | None = None
    renew: bool = False
    rotate: Sequence[str] = ()


def init(arguments: argparse.Namespace) -> int:
    """The command, from its arguments."""
    plant = load_plant(arguments.plant)
    options = Options(
        plant=arguments.plant.absolute(),
        directory=arguments.directory.absolute(),
        hosts=tuple(dict.fromkeys(arguments.hosts)),
        port=arguments.port,
        local_port=arguments.local_port,
        services_port=arguments.services_port,
        owner=arguments.owner,
        renew=arguments.renew,
        rotate=arguments.rotate,
    )
    for line in Deployment(plant, options, SystemClock().now()).write():
        print(line)
    return 0


@dataclass(slots=True)
class Deployment:
    """The files of one plant in one folder."""

    plant: Plant
    options: Options
    now: Instant
    rights: Mapping[str, Rights] = field(init=False)
    user: str = field(init=False)
    """The system's user that the broker runs as."""
    owner: int | None = field(init=False)
    """The id of that user, to give it the broker's files; None: it is ourselves."""

    def __post_init__(self) -> None:
        """Refuse what cannot be done before anything is written; raises PlantError."""
        self.rights = rights_of(self.plant)
        self.user, self.owner = _owner(self.options.owner)
        if INGEST in self.plant.agents:
            raise PlantError(f"an agent cannot be named {INGEST!r}: the ingest service has that name; rename the agent")
        if unknown := set(self.options.rotate) - set(self.rights):
            known = ", ".join(self.rights)
            raise PlantError(f"--rotate {', '.join(sorted(unknown))}: there is no such user; there are {known}")

    def write(self) -> Iterator[str]:
        """Write everything; tells, line by line, what a person must know or do. No line holds a secret."""
        root = folder(self.options.directory, mode=0o755)
        ca, news = self._authority()
        yield from news
        certificate, news = self._server(ca)
        yield from news
        home = folder(root / "mosquitto", mode=0o700, owner=self.owner)
        users, news = self._users(home / "users", certificate.hosts[0], ca.certificate)
        yield from news
        changed = [
            self._broker_file(home / "server.crt", certificate.certificate),
            self._broker_file(home / "server.key", certificate.key),
            self._broker_file(home / "users", users),
            self._broker_file(home / "rights", broker.acl(self.rights)),
        ]
        restart = self._broker_file(home / "mosquitto.conf", configuration(self.options, home, self.user))
        write(root / "api.env", self._api_settings(root / "api.env"))
        yield from self._plant_pc(root / ".env")
        until = to_datetime(certificate.expires).date()
        hosts = ", ".join(certificate.hosts)
        yield f"{root}: {len(self.plant.agents)} agent(s); broker {hosts}, certificate to {until}"
        if restart:
            yield (
                "next: deploy/up on a PC with Docker; without Docker start, or restart, the broker with "
                f"{home / 'mosquitto.conf'} (docs/deploy.md)"
            )
        elif any(changed):
            yield "next: let the broker read its files again (systemctl reload mosquitto)"

    # ------------------------------------------------------------ certificates

    def _authority(self) -> tuple[Signed, list[str]]:
        home = folder(self.options.directory / "ca", mode=0o700)
        name = f"{self.plant.enterprise} shopfloor CA"
        found = _stored(home / "ca.crt", home / "ca.key")
        if found is None:
            return self._keep(home / "ca", authority(name, self.now), "a certificate authority was made")
        if not found.expires_soon(self.now):
            return found, []
        if not self.options.renew:
            return found, [_expiring("the certificate authority", found)]
        fresh = authority(name, self.now, key=found.key)
        return self._keep(home / "ca", fresh, "the authority's certificate is new: copy ca.crt to every agent")

    def _server(self, ca: Signed) -> tuple[Signed, list[str]]:
        home = folder(self.options.directory / "mosquitto", mode=0o700, owner=self.owner)
        found = _stored(home / "server.crt", home / "server.key")
        hosts = self.options.hosts or (found.hosts if found else ())
        if not hosts:
            raise PlantError("give the broker's name or address as the agents reach it: --host (may be repeated)")
        if found is None:
            return server(hosts, ca, self.now), []
        faults = [_expiring("the broker's certificate", found)] if found.expires_soon(self.now) else []
        if missing := [host for host in hosts if host not in found.hosts]:
            faults.append(f"the broker's certificate is not for {', '.join(missing)}: run again with --renew")
        if not found.is_signed_by(ca):
            faults.append("the broker's certificate is not signed by ca/ca.crt: run again with --renew")
        if faults and self.options.renew:
            return server(hosts, ca, self.now), ["the broker's certificate is new"]
        return found, faults

    def _keep(self, stem: Path, signed: Signed, word: str) -> tuple[Signed, list[str]]:
        write(stem.with_suffix(".key"), signed.key)
        write(stem.with_suffix(".crt"), signed.certificate, mode=PUBLIC)
        return signed, [word]

    # ------------------------------------------------------------ users

    def _users(self, file: Path, host: str, ca: bytes) -> tuple[str, list[str]]:
        """The broker's password file, and every user's own settings, written first."""
        known = dict(line.split(":", 1) for line in _text(file).splitlines() if ":" in line)
        lines, news = [], []
        for user in self.rights:
            line, word = self._user(user, f"{user}:{known[user]}" if user in known else None, host, ca)
            lines.append(line)
            news += word
        news += [f"{user}: gone from the plant file, its rights are taken" for user in known if user not in self.rights]
        return "".join(f"{line}\n" for line in lines), news

    def _user(self, user: str, line: str | None, host: str, ca: bytes) -> tuple[str, list[str]]:
        env = self._settings_file(user)
        password = settings(_text(env)).get(_PASSWORD)
        news = []
        asked = user in self.options.rotate
        if password is None and line is not None and not asked:
            return line, [f"{user}: {env} is not here; its password stays (--rotate {user} makes a new one)"]
        if password is None or asked:
            password = secrets.token_urlsafe(24)
            news.append(f"{user}: a new password in {env}")
        values = {"SHOPFLOOR_MQTT_USERNAME": user, _PASSWORD: password}
        if user == INGEST:
            values = {"SHOPFLOOR_MQTT_URL": f"mqtt://{broker.LOOPBACK}:{self.options.local_port}", **values}
        else:
            beside = env.with_name("ca.crt")
            url = f"mqtts://{_in_url(host)}:{self.options.port}"
            values = {"SHOPFLOOR_MQTT_URL": url, **values, "SHOPFLOOR_MQTT_CA": str(beside)}
            folder(env.parent.parent, mode=0o700)
            folder(env.parent, mode=0o700)
            write(beside, ca, mode=PUBLIC)
        write(env, merged(_text(env), values))
        kept = line if line is not None and broker.matches(line, password) else broker.password_line(user, password)
        return kept, news

    def _settings_file(self, user: str) -> Path:
        root = self.options.directory
        return root / "ingest.env" if user == INGEST else root / "agents" / user / "agent.env"

    def _api_settings(self, env: Path) -> str:
        text = _text(env)
        return merged(text, {_API_KEY: settings(text).get(_API_KEY) or secrets.token_urlsafe(24)})

    # ------------------------------------------------------------ a plant PC with Docker

    def _plant_pc(self, env: Path) -> Iterator[str]:
        text = _text(env)
        known = settings(text)
        owner = os.geteuid() if self.owner is None else self.owner
        pc = PlantPc(
            version=version("shopfloor"),
            files=self.options.directory,
            plant=self.options.plant,
            owner=owner,
            group=os.getegid() if self.owner is None else pwd.getpwuid(owner).pw_gid,
            agent=next(iter(self.plant.agents), "none"),
            api_key=settings(_text(env.with_name("api.env")))[_API_KEY],
        )
        wanted = variables(known, pc)
        write(env, merged(text, wanted))
        if changed := [name for name, value in wanted.items() if known.get(name) != value]:
            yield f"{env}: {', '.join(changed)} {'set' if known else 'made'}"

    # ------------------------------------------------------------ the broker's own

    def _broker_file(self, path: Path, content: str | bytes) -> bool:
        return write(path, content, mode=SECRET, owner=self.owner)


def configuration(options: Options, home: Path, user: str) -> str:
    """``mosquitto.conf`` of a plant whose broker keeps its files in ``home`` and runs as ``user``."""
    tls = broker.Certified(home / "server.crt", home / "server.key")
    listeners = [
        broker.Listener("Services on this machine.", options.local_port),
        broker.Listener("Edge agents.", options.port, tls, own_names=True),
    ]
    if options.services_port is not None:
        listeners.append(broker.Listener("Services on other machines.", options.services_port, tls))
    return broker.configuration(listeners, user=user, users=home / "users", acl=home / "rights")


def _owner(asked: str | None) -> tuple[str, int | None]:
    """The system's user that the broker runs as, and its id unless it is ourselves."""
    ours = os.geteuid()
    if asked is None and not _has_name(ours):
        return BROKER_USER, None  # a user of another machine, in a container: the broker will be started as such, too
    name = asked or (BROKER_USER if ours == 0 and user_id(BROKER_USER) is not None else pwd.getpwuid(ours).pw_name)
    wanted = user_id(name)
    if wanted is None:
        raise PlantError(f"--owner {name}: this system has no such user; install the broker first, or name another")
    if wanted != ours != 0:
        raise PlantError(f"--owner {name}: only root can give files away; use sudo, or leave it out")
    return name, None if wanted == ours else wanted


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _stored(certificate: Path, key: Path) -> Signed | None:
    """What a run before has made; None when there is nothing. Raises ServiceUnavailable for what cannot be read."""
    if not certificate.exists() and not key.exists():
        return None
    try:
        signed = Signed(certificate.read_bytes(), key.read_bytes())
        signed.check()
    except (FileNotFoundError, ValueError, TypeError) as fault:
        raise ServiceUnavailable(
            f"{certificate} and {key.name} are no pair ({fault}); restore them, or move both away and run again"
        ) from None
    return signed


def _expiring(what: str, signed: Signed) -> str:
    return f"{what} expires on {to_datetime(signed.expires).date()}: run again with --renew"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
