"""The pages' words: the same ones in both languages, and one for everything that a stranger's data can be called."""

import json

from ingest.mapping import Refusal
from kpi_api.answers import Trouble
from kpi_api.pages.overview import STATIC
from messaging.agent_state import BAD_STATE
from messaging.payload import Fault


def test_both_languages_know_every_trouble_and_every_reason() -> None:
    texts = [json.loads((STATIC / f"text.{language}.json").read_text("utf-8")) for language in ("en", "id")]
    reasons = {*Fault, *Refusal, BAD_STATE}
    for text in texts:
        assert text.keys() == texts[0].keys()
        assert set(text["trouble"]) == {*Trouble, "unclaimed"}
        assert set(text["letter"]) == reasons
