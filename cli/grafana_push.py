"""``shopfloor dashboards push``: folders, data source and boards of a plant into a running Grafana."""

import argparse
import os
from collections import Counter
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from cli.dashboards import documents, languages
from cli.plants import load_plant
from dashboards.provisioning import wanted
from dashboards.provisioning.grafana import Grafana, GrafanaError
from dashboards.provisioning.push import Outcome, Step, push
from dashboards.provisioning.thing import Thing
from shopfloor.plant import Plant

URL: Final = "SHOPFLOOR_GRAFANA_URL"
TOKEN: Final = "SHOPFLOOR_GRAFANA_TOKEN"  # noqa: S105 - the variable's name
HISTORIAN: Final = "SHOPFLOOR_HISTORIAN"
READER: Final = "SHOPFLOOR_HISTORIAN_READER"


def push_boards(arguments: argparse.Namespace) -> int:
    """Print a line for each thing that differs, and how many do not; 0 when Grafana holds what it should."""
    plant = load_plant(arguments.plant)
    things = things_of(plant, languages(arguments.lang), os.environ)
    grafana = Grafana(os.environ.get(URL, "http://127.0.0.1:3000"), _token(os.environ))
    version = grafana.check(wanted.plugins(things))
    print(f"{grafana.url}: Grafana {version}", flush=True)
    done: Counter[Outcome] = Counter()
    for step in push(grafana, things, dry=arguments.dry_run, secrets=arguments.secrets):
        done[step.outcome] += 1
        for line in _lines(step, dry=arguments.dry_run, diff=arguments.diff):
            print(line, flush=True)
    print(_summary(done, dry=arguments.dry_run))
    return 0


def things_of(plant: Plant, chosen: tuple[str, ...], environment: Mapping[str, str]) -> list[Thing]:
    """All that a Grafana must hold for a plant, in the order in which things need each other."""
    rendered = {language: documents(plant, language) for language in chosen}
    historian = historian_of(environment)
    sources = [] if historian is None else [wanted.data_source(historian)]
    return [*(each for each in wanted.folders(chosen)), *sources, *wanted.boards(rendered)]


def historian_of(environment: Mapping[str, str]) -> wanted.Historian | None:
    """The InfluxDB that the environment names; None when it names none, and Grafana's data source is left alone."""
    url = environment.get(HISTORIAN)
    if not url:
        return None
    parts = urlsplit(url)
    database = parts.path.strip("/")
    if parts.scheme not in {"http", "https"} or not database or parts.username:
        raise GrafanaError(
            f"{HISTORIAN} must be http://host:8086/DATABASE as Grafana reaches it, without a user; boards read InfluxDB"
        )
    reader = READER if environment.get(f"{READER}_USERNAME") else HISTORIAN
    return wanted.Historian(
        url=f"{parts.scheme}://{parts.netloc}",
        database=database,
        user=environment.get(f"{reader}_USERNAME", ""),
        password=environment.get(f"{reader}_PASSWORD", ""),
        token=environment.get(f"{HISTORIAN}_TOKEN", "") if reader == HISTORIAN else "",
    )


def _token(environment: Mapping[str, str]) -> str:
    if token := environment.get(TOKEN, "").strip():
        return token
    raise GrafanaError(f"{TOKEN} is not set; make a token for a Grafana service account with the role Admin")


def _lines(step: Step, *, dry: bool, diff: bool) -> list[str]:
    if step.outcome is Outcome.UNCHANGED:
        return []
    told = f"would be {step.outcome}" if dry else str(step.outcome)
    return [f"{step.thing}: {told}", *(step.difference if diff else [])]


def _summary(done: Counter[Outcome], *, dry: bool) -> str:
    if done.keys() <= {Outcome.UNCHANGED}:
        return f"nothing to do: all {done.total()} are as they should be"
    counts = ", ".join(f"{done[each]} {each}" for each in Outcome)
    return f"nothing was written; it would be: {counts}" if dry else counts
