"""A small disk under a process's files, that can be filled to the last byte: a tmpfs of its own, or a limit on files.

The tmpfs needs root and a private mount namespace (``__main__`` enters one); without them the process may not let its
files grow, which it meets as a disk that takes nothing.
"""

import os
import resource
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.soak.child import Child

SIZE = "16m"
LITTLE = 4_096
"""Bytes that a file may have where the disk itself cannot be small."""
PRIVATE = "SOAK_PRIVATE_MOUNTS"
"""Set in the environment of a harness that has a mount namespace of its own."""


class SmallDisk:
    """The folder of one process."""

    def __init__(self, folder: Path, *, small: bool = True) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        self._limited: int | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.mounted = small and bool(os.environ.get(PRIVATE)) and _mounted(folder)

    def fill(self, child: Child) -> None:
        """From now on nothing can be written."""
        if not self.mounted:
            _, hard = resource.prlimit(child.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (LITTLE, hard))
            self._limited = child.pid
            return
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4_096))

    def free(self, child: Child) -> None:
        """Everything can be written again."""
        if self.mounted:
            self._ballast.unlink(missing_ok=True)
        elif child.running and child.pid == self._limited:
            _, hard = resource.prlimit(child.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (hard, hard))
        self._limited = None

    def unmount(self) -> None:
        """Give the memory back; the folder is empty then."""
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False)


def _mounted(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
