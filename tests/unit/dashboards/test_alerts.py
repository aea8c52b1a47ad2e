"""Alert rules as Grafana reads them: every reference leads somewhere, words are whole, no secret is written down."""

import re
from pathlib import Path

import pytest
import yaml

from cli.dashboards import alert_files
from cli.main import main
from cli.plants import load_plant
from dashboards.alerts.contacts import ContactError, contacts
from dashboards.alerts.render import rules
from dashboards.alerts.rules import rules_of
from dashboards.names import name_problems
from dashboards.text import LANGUAGES, words
from tests.filled_plant import PLANT_FILE

CHANNELS = {
    "SHOPFLOOR_ALERT_WEBHOOK_URL": "https://andon.plant.lan/hook",
    "SHOPFLOOR_ALERT_WEBHOOK_TOKEN": "hook-s3cret",
    "SHOPFLOOR_ALERT_EMAIL": "shift@plant.lan",
    "SHOPFLOOR_ALERT_TELEGRAM_TOKEN": "123:tg-s3cret",
    "SHOPFLOOR_ALERT_TELEGRAM_CHAT": "-100200",
    "SHOPFLOOR_ALERT_WHATSAPP_URL": "https://gateway.plant.lan/send?key=wa-s3cret",
}


@pytest.fixture(scope="module")
def plant():
    return load_plant(PLANT_FILE)


def test_every_reference_of_a_rule_leads_to_its_query_or_expression(plant):
    for rule in rules(plant):
        refs = [each["refId"] for each in rule["data"]]
        assert len(refs) == len(set(refs))
        assert rule["condition"] in refs
        for each in rule["data"]:
            expression = each["model"].get("expression", "")
            named = re.findall(r"\$([A-Z]+)", expression) if each["model"].get("type") == "math" else [expression]
            assert set(filter(None, named)) <= set(refs), rule["title"]


def test_rules_have_names_of_their_own(plant):
    found = rules(plant)
    assert len({rule["uid"] for rule in found}) == len({rule["title"] for rule in found}) == len(found)
    assert all(len(rule["uid"]) <= 40 for rule in found)


def test_queries_ask_for_what_the_schema_has(plant):
    assert [problem for rule in rules_of(plant) for ask in rule.asks for problem in name_problems(ask.query)] == []


def test_every_word_of_the_plant_file_is_filled_in_and_the_rest_is_grafanas(plant):
    for rule in rules(plant):
        for text in (rule["title"], *rule["annotations"].values()):
            assert not re.search(r"(?<!\{)\{[a-z]+\}", text), text
            assert "$" not in text
            for name in re.findall(r'index \.Values "([A-Z]+)"', text):
                assert name in {each["refId"] for each in rule["data"]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_names_places_as_the_plant_does(plant, language):
    (text,) = [
        each["template"]
        for each in yaml.safe_load(alert_files(plant, {})["alerting/templates.yaml"])["templates"]
        if each["name"] == f"shopfloor-{language}"
    ]
    for path, unit in plant.units.items():
        assert f"{unit.name[language]} ({path})" in text
    assert words(language).must("alert.message.firing") in text
    assert text.count("{{ define") == 5
    opened = len(re.findall(r"\{\{ (?:define|if|with|range)\b", text))
    assert opened == text.count("{{ end }}")
    assert "$" not in text


def test_files_name_variables_and_hold_no_value_of_them(plant):
    files = alert_files(plant, CHANNELS)
    assert set(files) == {f"alerting/{name}.yaml" for name in ("rules", "templates", "contact-points", "policies")}
    told = "\n".join(files.values())
    assert not any(value in told for value in CHANNELS.values())
    for name in CHANNELS:
        assert f"${name}" in told
    (point,) = yaml.safe_load(files["alerting/contact-points.yaml"])["contactPoints"]
    assert [each["type"] for each in point["receivers"]] == ["webhook", "webhook", "email", "telegram"]
    (policy,) = yaml.safe_load(files["alerting/policies.yaml"])["policies"]
    assert policy["receiver"] == point["name"] == policy["routes"][0]["receiver"]


def test_without_channels_grafanas_own_stays(plant):
    assert set(alert_files(plant, {})) == {"alerting/rules.yaml", "alerting/templates.yaml"}


def test_messages_speak_the_plants_language_unless_told(plant):
    of = {"SHOPFLOOR_ALERT_EMAIL": "shift@plant.lan"}
    (email,) = contacts(of, plant.language)
    assert email.settings["message"] == '{{ template "shopfloor.id.message" . }}'
    (email,) = contacts({**of, "SHOPFLOOR_ALERT_LANGUAGE": "en"}, plant.language)
    assert email.settings["message"] == '{{ template "shopfloor.en.message" . }}'


def test_half_a_channel_is_refused(plant):
    with pytest.raises(ContactError, match="set SHOPFLOOR_ALERT_TELEGRAM_TOKEN too"):
        contacts({"SHOPFLOOR_ALERT_TELEGRAM_CHAT": "1"}, plant.language)


def test_the_contracted_power_is_the_limit_of_a_sites_only_meter(tmp_path: Path):
    text = PLANT_FILE.read_text("utf-8").replace("alerts: {demand_kw: 1100}", "")
    text = text.replace("free_kvarh_per_kwh: 0.62}", "free_kvarh_per_kwh: 0.62, contract_kva: 865}")
    file = tmp_path / "plant.yaml"
    file.write_text(text, "utf-8")
    (rule,) = [each for each in rules_of(load_plant(file)) if each.text == "alert.demand"]
    assert rule.condition.endswith("> 865")


def test_render_writes_the_alerts_beside_the_boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in CHANNELS.items():
        monkeypatch.setenv(name, value)
    assert main(["dashboards", "render", str(PLANT_FILE), "-o", str(tmp_path)]) == 0
    assert {path.name for path in (tmp_path / "alerting").iterdir()} == {
        "rules.yaml",
        "templates.yaml",
        "contact-points.yaml",
        "policies.yaml",
    }
