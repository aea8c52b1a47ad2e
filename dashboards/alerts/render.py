"""Alert rules, templates, contact points and their route as Grafana's API and provisioning files write them. Pure."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from dashboards.alerts.contacts import NAME, Contact, Variable
from dashboards.alerts.messages import SOURCE_FAULT, annotations, templates, title_of
from dashboards.alerts.rule import Ask, Rule
from dashboards.alerts.rules import PERIOD_S, rules_of
from dashboards.render import SOURCE_UID
from dashboards.text import words
from shopfloor.plant import Plant

Json = dict[str, Any]

FOLDER_UID: Final = "shopfloor-alerts"
GROUP: Final = "shopfloor"
MARK: Final = "shopfloor"
"""The label by which our alerts are told from all others; its value is the kind of rule."""
REPEAT: Final = "8h"
"""What still holds is told again after a shift."""
_EXPRESSION: Final = "__expr__"
_EXPRESSIONS: Final = {"type": _EXPRESSION, "uid": _EXPRESSION}
_SOURCE: Final = {"type": "influxdb", "uid": SOURCE_UID}
_CONDITION: Final = "CALL"


def folder_title(plant: Plant) -> str:
    """The folder of the rules, named in the plant's language."""
    return words(plant.language).must("folder.alerts")


def uid_of(plant: Plant, rule: Rule) -> str:
    """A rule's name in addresses: of its id alone, however its title or limits change."""
    return "shopfloor-" + hashlib.sha256(f"{plant.enterprise}/{rule.id}".encode()).hexdigest()[:20]


def rules(plant: Plant) -> list[Json]:
    """Every rule as both ways of provisioning write it."""
    return [rule_document(plant, rule) for rule in rules_of(plant)]


def rule_document(plant: Plant, rule: Rule) -> Json:
    """One of them."""
    return {
        "uid": uid_of(plant, rule),
        "title": title_of(rule, plant.language, plant)[:190],
        "condition": _CONDITION,
        "data": [*(_question(ask) for ask in rule.asks), *(_last(ask) for ask in rule.asks), _condition(rule)],
        "noDataState": rule.silence.value,
        "execErrState": "Error",
        "for": f"{rule.lasting_s // 60}m" if rule.lasting_s else "0s",
        "annotations": annotations(rule),
        "labels": {**rule.labels, MARK: rule.text.rpartition(".")[2], "severity": rule.severity.value},
    }


def questions(rule: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The parts of a rule that ask a data source; the others compute with their answers."""
    return (part for part in rule["data"] if part["datasourceUid"] != _EXPRESSION)


def _question(ask: Ask) -> Json:
    model = {
        "refId": f"Q{ask.name}",
        "datasource": _SOURCE,
        "rawQuery": True,
        "query": ask.query,
        "resultFormat": "time_series",
        "intervalMs": 60_000,
        "maxDataPoints": 43_200,
    }
    return {
        "refId": f"Q{ask.name}",
        "relativeTimeRange": {"from": ask.since_s, "to": ask.until_s},
        "datasourceUid": SOURCE_UID,
        "model": model,
    }


def _last(ask: Ask) -> Json:
    """The last number of each group, under the letter that condition and messages use."""
    asked = {"type": "reduce", "expression": f"Q{ask.name}", "reducer": "last"}
    return _expression(ask.name, asked)


def _condition(rule: Rule) -> Json:
    return _expression(_CONDITION, {"type": "math", "expression": rule.condition})


def _expression(ref: str, what: Mapping[str, str]) -> Json:
    return {
        "refId": ref,
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": _EXPRESSION,
        "model": {"refId": ref, "datasource": _EXPRESSIONS, **what},
    }


def integration(contact: Contact, values: Mapping[str, str] | None) -> Json:
    """A channel as Grafana writes it, without secrets; with ``values`` its variables are filled in, else named."""
    return {"uid": contact.uid, "type": contact.type, "settings": _settings(contact.settings, values)}


def secrets(contact: Contact, values: Mapping[str, str] | None) -> dict[str, str]:
    """The settings that Grafana keeps to itself."""
    return _settings(contact.secrets, values)


def _settings(settings: Mapping[str, Any], values: Mapping[str, str] | None) -> dict[str, str]:
    return {key: _value(value, values) for key, value in settings.items()}


def _value(value: "str | Variable", values: Mapping[str, str] | None) -> str:
    if isinstance(value, Variable):
        return f"${value.name}" if values is None else values[value.name]
    return value


def route() -> Json:
    """How our alerts find the contact point: by place, told once, and again after a shift.

    That the historian cannot be read is one message, though every rule tells it.
    """
    blind = {"receiver": NAME, "object_matchers": [["alertname", "=", SOURCE_FAULT]], "group_by": ["alertname"]}
    return {
        "receiver": NAME,
        "object_matchers": [[MARK, "=~", ".+"]],
        "group_by": ["grafana_folder", MARK, "work_center", "agent"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": REPEAT,
        "routes": [blind],
    }


def files(plant: Plant, contacts: Sequence[Contact]) -> dict[str, str]:
    """File name -> its text, for Grafana's provisioning folder ``alerting``.

    Without any channel there is neither contact point nor route: Grafana's own default stays.
    """
    group = {
        "orgId": 1,
        "name": GROUP,
        "folder": folder_title(plant),
        "interval": f"{PERIOD_S}s",
        "rules": rules(plant),
    }
    told = [{"orgId": 1, "name": each.name, "template": each.text} for each in templates(plant)]
    found: dict[str, Json] = {"rules.yaml": {"groups": [group]}, "templates.yaml": {"templates": told}}
    if contacts:
        integrations = [
            {**each, "settings": {**each["settings"], **secrets(contact, None)}}
            for contact, each in ((contact, integration(contact, None)) for contact in contacts)
        ]
        found["contact-points.yaml"] = {"contactPoints": [{"orgId": 1, "name": NAME, "receivers": integrations}]}
        policy = {"orgId": 1, "receiver": NAME, "group_by": ["grafana_folder", "alertname"], "routes": [route()]}
        found["policies.yaml"] = {"policies": [policy]}
    return {name: yaml.dump({"apiVersion": 1, **content}, Dumper=_Blocks, **_STYLE) for name, content in found.items()}


_STYLE: Final[Mapping[str, Any]] = {"sort_keys": False, "allow_unicode": True, "width": 1_000}


class _Blocks(yaml.SafeDumper):
    """Texts of several lines as blocks, to be read."""

    def ignore_aliases(self, data: Any) -> bool:
        """Every piece in full: Grafana's files are read by people too."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Blocks.add_representer(str, _text)
