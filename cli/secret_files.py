"""Files of a deployment: written whole or not at all, secrets readable by their owner alone, changed only if needed.

Settings are ``NAME=value`` lines; what a person has added beside them stays.
"""

import os
import pwd
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SECRET: Final = 0o600
PUBLIC: Final = 0o644
_SETTING: Final = re.compile(r"\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*)")


def write(path: Path, content: str | bytes, *, mode: int = SECRET, owner: int | None = None) -> bool:
    """Make the file what it should be; returns whether it was not so before. ``owner`` is a user id, None ours."""
    data = content.encode() if isinstance(content, str) else content
    if _is_so(path, data, mode, owner):
        return False
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET), "wb") as file:
        file.write(data)
        os.fchmod(file.fileno(), mode)
        if owner is not None:
            os.fchown(file.fileno(), owner, -1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return True


def _is_so(path: Path, data: bytes, mode: int, owner: int | None) -> bool:
    try:
        found = path.stat()
        same = path.read_bytes() == data
    except FileNotFoundError:
        return False
    return same and found.st_mode & 0o777 == mode and owner in (None, found.st_uid)


def folder(path: Path, *, mode: int, owner: int | None = None) -> Path:
    """Make a folder with these rights."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    if owner is not None:
        os.chown(path, owner, -1)
    return path


def user_id(name: str) -> int | None:
    """The system's id of a user; None when there is none of that name."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def settings(text: str) -> dict[str, str]:
    """The settings of a file of ``NAME=value`` lines, as a shell and systemd read them."""
    found = (_SETTING.fullmatch(line) for line in text.splitlines())
    return {match[1]: "".join(shlex.split(match[2])) for match in found if match}


def merged(text: str, values: Mapping[str, str]) -> str:
    """The file with these settings: in their place where they stood, else at the end; all other lines as they were."""
    left = dict(values)
    lines = []
    for line in text.splitlines():
        match = _SETTING.fullmatch(line)
        name = match[1] if match else ""
        lines.append(f"{name}={shlex.quote(left.pop(name))}" if name in left else line)
    lines += [f"{name}={shlex.quote(value)}" for name, value in left.items()]
    return "".join(f"{line}\n" for line in lines)
