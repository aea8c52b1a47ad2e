"""The templates that exist, by name. Data of *registers -> samples*."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from devices.template import Template, parse
from shopfloor.errors import PlantError

TEMPLATES = Path(__file__).parent / "templates"
"""The templates that come with the package."""


def names(folders: Sequence[Path] = ()) -> list[str]:
    """All template names in the package and in ``folders``, sorted."""
    return sorted(_files(folders))


def load(name: str, folders: Sequence[Path] = ()) -> Template:
    """The template called ``name``; a file in ``folders`` (the first wins) stands before the package's.

    Raises PlantError: with near names when there is none, with all its problems when the file is wrong.
    """
    file = _files(folders).get(name)
    if file is None:
        raise PlantError(_unknown(name, names(folders)))
    return _read(file, file.stat().st_mtime_ns)


def _files(folders: Sequence[Path]) -> dict[str, Path]:
    return {file.stem: file for folder in (TEMPLATES, *reversed(folders)) for file in folder.glob("*.yaml")}


@lru_cache(maxsize=256)
def _read(file: Path, _mtime_ns: int) -> Template:
    """One file, parsed again only when it has changed."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PlantError(f"{file}:1: is not UTF-8 ({error.reason}); save it as UTF-8") from None
    template = parse(text, str(file))
    if template.name != file.stem:
        raise PlantError(f"{file}:1: template {template.name!r} must be the file's name; write {file.stem}")
    return template


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"template {name!r} is unknown; {hint}known: {', '.join(known)}"
