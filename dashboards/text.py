"""Words on boards in both languages: one catalogue each, and the names that the KPI definitions already have.

A text id is looked up here when a board is rendered, so that boards hold no sentence of their own:

- ``oee.trend`` of a catalogue; a panel's has ``title`` and ``about``
- ``kpi:oee_index`` the KPI's name, ``category.running`` a time category's
- what is no id of either is shown as it stands (``$tag_work_unit``)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from kpi.evaluation.definitions import KPIS
from shopfloor.yaml_lines import parse

LANGUAGES: Final = ("en", "id")
_KPI: Final = "kpi:"


@dataclass(frozen=True, slots=True)
class Words:
    """One language's catalogue."""

    language: str
    entries: Mapping[str, str]
    """Text id -> text; ``<id>.title`` and ``<id>.about`` for panels and boards."""

    def __call__(self, text: str) -> str:
        """The words of a text id; what is no id stands for itself."""
        if text.startswith(_KPI):
            return KPIS[text.removeprefix(_KPI)].name[self.language]
        return self.entries.get(text, text)

    def label(self, labels: Mapping[str, str], otherwise: str) -> str:
        """A name from the plant file, which may know one language only."""
        return labels.get(self.language) or next(iter(labels.values()), otherwise)

    def must(self, text: str) -> str:
        """The words of a text id that must be there. Raises KeyError."""
        return self.entries[text]


@cache
def words(language: str) -> Words:
    """The catalogue of a language, ``en`` or ``id``: all files of its folder."""
    entries: dict[str, str] = {}
    for source in sorted(files("dashboards").joinpath("text", language).iterdir(), key=lambda each: each.name):
        if source.name.endswith(".yaml"):
            entries.update(_flat("", parse(source.read_text("utf-8")).data))
    return Words(language, entries)


def _flat(prefix: str, node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(f"{name}.", value)
        else:
            yield name, str(value)
