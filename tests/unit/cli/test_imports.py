"""A command loads no library that its extra does not bring: an edge box has neither NumPy nor a web server."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOADED = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps([*sys.modules]))"


def named(requirements: Iterable[str]) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in requirements}


OPTIONAL = set[str]().union(*map(named, EXTRAS.values())) - named([*PROJECT["dependencies"], PROJECT["name"]])


WITHOUT = "import sys; sys.modules[sys.argv[1]] = None; from cli.main import main; sys.exit(main(sys.argv[2:]))"


@pytest.mark.parametrize(
    ("library", "command"),
    [("numpy", ["calc", "x.yaml"]), ("pymodbus", ["edge", "x.yaml", "--agent", "a"]), ("uvicorn", ["api", "x.yaml"])],
)
def test_a_library_that_is_not_installed_is_one_clear_line(library: str, command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT, library, *command], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"this command needs {library}, which is not installed; install shopfloor with the extra" in done.stderr


@pytest.mark.parametrize(
    ("module", "extras"),
    [
        ("cli.main", []),
        ("cli.check", []),
        ("cli.edge", ["edge"]),
        ("cli.simulate", ["simulators"]),
        ("cli.ingest", ["ingest"]),
        ("cli.api", ["api"]),
    ],
)
def test_a_command_loads_only_what_its_extra_brings(module: str, extras: list[str]) -> None:
    told = subprocess.run([sys.executable, "-c", LOADED, module], check=True, capture_output=True).stdout
    distributions = packages_distributions()
    loaded = {
        canonicalize_name(each) for name in json.loads(told) for each in distributions.get(name.partition(".")[0], ())
    }
    allowed = set[str]().union(*(named(EXTRAS[extra]) for extra in extras))
    assert OPTIONAL & loaded <= allowed
    assert "pydantic" in loaded or module == "cli.main"
