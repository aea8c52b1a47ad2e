"""The words of alerts in each language, as Grafana's message templates. Pure.

Rules carry their words in every language as annotations; a contact point picks its language by its template. Places are
told by the names that the plant file gives them. No ``$`` stands in a template: Grafana would read it as a variable.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dashboards.alerts.rule import Rule
from dashboards.text import LANGUAGES, words
from shopfloor.plant import Plant

SOURCE_FAULT: Final = "DatasourceError"
"""The name that Grafana gives an alert whose query failed."""


@dataclass(frozen=True, slots=True)
class Template:
    """A named text of templates."""

    name: str
    text: str


def title_of(rule: Rule, language: str, plant: Plant) -> str:
    """A rule's name in Grafana: unique, since each place and agent that has a rule of its own is named."""
    told = words(language).must(f"{rule.text}.title").format(**rule.words)
    path = "/".join(
        rule.labels[level] for level in ("site", "area", "work_center", "work_unit") if level in rule.labels
    )
    if path in plant.units:
        return f"{told}: {words(language).label(plant.units[path].name, path)} ({path})"
    return f"{told}: {rule.labels['agent']}" if "agent" in rule.labels else told


def annotations(rule: Rule) -> dict[str, str]:
    """What a rule says in every language; the numbers of its questions are filled in when it calls."""
    texts = {"summary": f"{rule.text}.summary", "about": f"{rule.text}.about"}
    if rule.empty is not None:
        texts["no_data"] = rule.empty
    return {
        f"{part}_{language}": _filled(words(language).must(text), rule.words)
        for language in LANGUAGES
        for part, text in texts.items()
    }


def _filled(text: str, named: Mapping[str, str]) -> str:
    """``{minutes}`` by its word; Grafana's own ``{{ }}`` stay."""
    for name, word in named.items():
        text = text.replace(f"{{{name}}}", word)
    return text


def templates(plant: Plant) -> Iterator[Template]:
    """One template for each language, with a subject and a message."""
    for language in LANGUAGES:
        yield Template(f"shopfloor-{language}", _template(plant, language))


def subject(language: str) -> str:
    """What stands in a contact point's subject."""
    return f'{{{{ template "shopfloor.{language}.subject" . }}}}'


def message(language: str) -> str:
    """What stands in a contact point's message."""
    return f'{{{{ template "shopfloor.{language}.message" . }}}}'


def _template(plant: Plant, language: str) -> str:
    say = words(language).must
    when = '.Local.Format "02-01-2006 15:04 MST" }}'
    name = f"shopfloor.{language}"
    place = f'{{{{ template "{name}.place" .Labels }}}}'
    failed = f'{{{{ if eq .Labels.alertname "{SOURCE_FAULT}" }}}}'
    parts = [
        f'{{{{ define "{name}.place" }}}}{_places(plant, language)}{{{{ end }}}}',
        f'{{{{ define "{name}.firing" }}}}{failed}{say("alert.message.unreadable")}: {{{{ .Labels.rulename }}}}'
        f"{{{{ else }}}}{place}: {{{{ .Annotations.summary_{language} }}}}\n"
        f"{{{{ .Annotations.about_{language} }}}}{{{{ end }}}}\n"
        f"{say('alert.message.since')} {{{{ .StartsAt{when}{{{{ end }}}}",
        f'{{{{ define "{name}.resolved" }}}}{failed}{say("alert.message.readable")}: {{{{ .Labels.rulename }}}}'
        f"{{{{ else }}}}{place}: {{{{ .Annotations.summary_{language} }}}}{{{{ end }}}}\n"
        f"{say('alert.message.until')} {{{{ .EndsAt{when}{{{{ end }}}}",
        f'{{{{ define "{name}.message" }}}}{{{{ if .Alerts.Firing }}}}{say("alert.message.firing")}'
        f' ({{{{ len .Alerts.Firing }}}})\n{{{{ range .Alerts.Firing }}}}\n{{{{ template "{name}.firing" . }}}}\n'
        f"{{{{ end }}}}{{{{ end }}}}{{{{ if .Alerts.Resolved }}}}{say('alert.message.resolved')}"
        f' ({{{{ len .Alerts.Resolved }}}})\n{{{{ range .Alerts.Resolved }}}}\n{{{{ template "{name}.resolved" . }}}}\n'
        f"{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}",
        f'{{{{ define "{name}.subject" }}}}{{{{ if .Alerts.Firing }}}}{say("alert.message.firing")}'
        f" ({{{{ len .Alerts.Firing }}}}): {{{{ with index .Alerts.Firing 0 }}}}{failed}"
        f"{say('alert.message.unreadable')}"
        f"{{{{ else }}}}{place}: {{{{ .Annotations.summary_{language} }}}}{{{{ end }}}}{{{{ end }}}}"
        f"{{{{ else }}}}{say('alert.message.resolved')} ({{{{ len .Alerts.Resolved }}}}){{{{ end }}}}{{{{ end }}}}",
    ]
    return "\n".join(parts)


def _places(plant: Plant, language: str) -> str:
    """From labels to the name of a place: an agent, a unit by its path, else the path."""
    agent = f"{{{{ if .agent }}}}{words(language).must('alert.message.agent')} {{{{ .agent }}}}{{{{ else }}}}"
    path = '{{ with printf "%s/%s/%s/%s" .site .area .work_center .work_unit }}'
    named = [(path, words(language).label(unit.name, "")) for path, unit in plant.units.items()]
    chain = "{{ else ".join(f'if eq . "{path}" }}}}{_plain(name)} ({path})' for path, name in named if name)
    told = f"{{{{ {chain}{{{{ else }}}}{{{{ . }}}}{{{{ end }}}}" if chain else "{{ . }}"
    return f"{agent}{path}{told}{{{{ end }}}}{{{{ end }}}}"


def _plain(name: str) -> str:
    return name.replace("{{", "(").replace("}}", ")").replace("$", "")
