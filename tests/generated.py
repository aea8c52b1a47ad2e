"""Generated files and whether they are up to date: ``python -m tests.generated [--check]``."""

import json
import sys
from pathlib import Path
from typing import Any

from cli.dashboards import alert_files, rendered
from cli.deploy import BROKER_USER, Options, configuration
from cli.plants import load_plant
from messaging.mosquitto_files import acl
from messaging.rights import rights_of
from shopfloor.guideline_schema import guideline_json_schema
from shopfloor.plant_schema import json_schema
from tests.kpi_reference import reference

ROOT = Path(__file__).parent.parent


def generated() -> dict[Path, str]:
    """Every generated file of the repository with the text it must have."""
    return {
        ROOT / "plants" / "plant.schema.json": _json(json_schema()),
        ROOT / "plants" / "guideline.schema.json": _json(guideline_json_schema()),
        ROOT / "docs" / "kpis.md": reference(),
        **broker_files(),
        **boards(),
    }


def _json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def broker_files() -> dict[Path, str]:
    """What ``shopfloor deploy init`` writes for the example plant's broker, but for the secrets."""
    home = Path("/etc/shopfloor/mosquitto")
    file = ROOT / "plants" / "ceper" / "plant.yaml"
    plant = load_plant(file)
    return {
        ROOT / "deploy" / "mosquitto" / "mosquitto.conf": configuration(
            Options(directory=home.parent, plant=file), home, BROKER_USER
        ),
        ROOT / "deploy" / "mosquitto" / "rights": acl(rights_of(plant)),
    }


def boards() -> dict[Path, str]:
    """The example plant's Grafana boards in each language, and its alert rules with their words."""
    plant = load_plant(ROOT / "plants" / "ceper" / "plant.yaml")
    written = rendered(plant) | alert_files(plant, {})
    return {ROOT / "dashboards" / "rendered" / name: text for name, text in written.items()}


def main() -> int:
    """Write the files, or with --check name those that differ."""
    check = "--check" in sys.argv
    files = generated()
    stale = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is not up to date; run make generate")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], "utf-8")
    for path in forgotten(files):
        if check:
            print(f"{path.relative_to(ROOT)} belongs to no board; run make generate")
        else:
            path.unlink()
    return 1 if check and (stale or forgotten(files)) else 0


def forgotten(files: dict[Path, str]) -> list[Path]:
    """Rendered boards that are no more."""
    kept = ROOT / "dashboards" / "rendered"
    return sorted({*kept.rglob("*.json"), *kept.rglob("*.yaml")} - files.keys())


if __name__ == "__main__":
    sys.exit(main())
