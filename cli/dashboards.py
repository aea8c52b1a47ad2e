"""``shopfloor dashboards``: Grafana boards of a plant, written as JSON and checked."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cli.plants import load_plant
from dashboards.alerts.contacts import contacts
from dashboards.alerts.render import files, rules
from dashboards.boards import boards_of
from dashboards.lint import catalogue_problems, lint, lint_rules
from dashboards.render import Setting, render, text_of
from dashboards.text import LANGUAGES, words
from shopfloor.plant import Plant

FAILED: Final = 1
MANY_ZONES: Final = "browser"
"""Zone of boards of a plant whose sites differ: that of whoever looks."""


def render_boards(arguments: argparse.Namespace) -> int:
    """Write ``LANGUAGE/BOARD.json`` of the chosen languages and ``alerting/*.yaml`` into a folder; prints each file."""
    plant, folder = load_plant(arguments.plant), arguments.output
    written = rendered(plant, languages(arguments.lang)) | alert_files(plant, os.environ)
    for name, text in written.items():
        path: Path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        print(path)
    return 0


def check_boards(arguments: argparse.Namespace) -> int:
    """Print every problem of a plant's boards, one a line; 1 when there are any."""
    plant = load_plant(arguments.plant)
    problems = problems_of(plant)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return FAILED
    print(f"{arguments.plant}: {len(boards_of(plant))} boards in {' and '.join(LANGUAGES)}: ok")
    return 0


def problems_of(plant: Plant) -> list[str]:
    """What is wrong with boards, alert queries or texts; texts first, since boards without them cannot be written."""
    if missing := catalogue_problems():
        return missing
    sites = [site.id for site in plant.sites]
    boards = [problem for language in LANGUAGES for problem in lint(documents(plant, language), sites)]
    return boards + lint_rules(rules(plant))


def alert_files(plant: Plant, environment: Mapping[str, str]) -> dict[str, str]:
    """``alerting/FILE.yaml`` -> its text: rules and words, and the channels that the environment names."""
    found = files(plant, contacts(environment, plant.language))
    return {f"alerting/{name}": text for name, text in found.items()}


def rendered(plant: Plant, chosen: tuple[str, ...] = LANGUAGES) -> dict[str, str]:
    """``LANGUAGE/BOARD.json`` -> its text."""
    return {
        f"{language}/{board['uid']}.json": text_of(board) for language in chosen for board in documents(plant, language)
    }


def documents(plant: Plant, language: str) -> list[dict[str, Any]]:
    """All boards of a plant in one language."""
    boards, setting = boards_of(plant), Setting(words(language), zone_of(plant))
    return [render(board, boards, setting) for board in boards]


def zone_of(plant: Plant) -> str:
    """The time zone that all sites share, else MANY_ZONES."""
    zones = {site.timezone for site in plant.sites}
    return zones.pop() if len(zones) == 1 else MANY_ZONES


def languages(chosen: str) -> tuple[str, ...]:
    """``all`` or one."""
    return LANGUAGES if chosen == "all" else (chosen,)
