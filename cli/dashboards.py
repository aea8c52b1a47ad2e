"""``shopfloor dashboards``: Grafana's JSON from the plant file."""

import argparse

from cli.plants import load_plant
from dashboards.render import rendered
from dashboards.text import LANGUAGES


def render(arguments: argparse.Namespace) -> int:
    """Write ``LANGUAGE/BOARD.json`` for every board, and print what was written."""
    plant = load_plant(arguments.plant)
    for language in LANGUAGES if arguments.lang == "all" else (arguments.lang,):
        folder = arguments.output / language
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in rendered(plant, language).items():
            (folder / name).write_text(text, "utf-8")
            print(folder / name)
    return 0
