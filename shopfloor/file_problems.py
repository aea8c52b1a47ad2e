"""Problems of a file that people write, as lines: ``FILE:LINE: field: what is wrong; what to write instead``."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from shopfloor.calendar_checks import Problem
from shopfloor.errors import PlantError
from shopfloor.plant_faults import ABSENT
from shopfloor.yaml_lines import LinedDocument, Place


def text_of(path: Path, what: str) -> str:
    """The text of a file; raises PlantError. ``what`` is what the path should lead to, e.g. ``a plant.yaml``."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as fault:
        raise PlantError(f"{path}: cannot be read ({fault.strerror}); give the path of {what}") from None
    except UnicodeDecodeError:
        raise PlantError(f"{path}: is not UTF-8 text; save it as UTF-8") from None


def lines_of(path: Path, document: LinedDocument, problems: Iterable[Problem]) -> list[str]:
    """One line per problem, by line number."""
    placed = sorted({(document.line(place), _field(place), text) for place, text in _in_file(problems, document)})
    return [f"{path}:{line}: {field}: {text}" if field else f"{path}:{line}: {text}" for line, field, text in placed]


def _in_file(problems: Iterable[Problem], document: LinedDocument) -> Iterator[Problem]:
    """Places without the steps that validation added and the file does not have (a dated wrapper, a union's branch)."""
    for place, text in problems:
        found: Place = ()
        for index, step in enumerate(place):
            if place[index + 1 : index + 2] == ("value",) and (*found, step, "value") not in document.lines:
                continue  # the dated wrapper of a plain value
            as_index = int(step) if isinstance(step, str) and step.isdigit() else step
            found = next(((*found, key) for key in (step, as_index) if (*found, key) in document.lines), found)
        absent = place[-1:] if place and text.startswith(ABSENT) else ()
        yield (*found, *absent), text


def _field(place: Place) -> str:
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
