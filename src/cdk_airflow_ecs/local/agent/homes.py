"""Folders for the home directories of a task's containers."""

from __future__ import annotations

import shutil
import threading
from itertools import count
from pathlib import Path
from typing import Final

_LONGEST: Final = 60  # characters of a name: socket paths below a home are limited to 107


class Homes:
    """Allocates home folders whose paths are reused by successive tasks.

    Airflow 2 stores the DAG folder's path with each DAG and import error, and removes stale ones only below that path.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[Path] = set()
        self._lock = threading.Lock()

    def take(self, name: str) -> Path:
        """Return an empty folder that no running task uses."""
        with self._lock:
            paths = (self._folder / f"{name[:_LONGEST]}-{number}" for number in count(1))
            found = next(path for path in paths if path not in self._taken)
            self._taken.add(found)
        if found.exists():
            shutil.rmtree(found)
        found.mkdir(mode=0o700, parents=True)
        return found

    def release(self, path: Path | None) -> None:
        """Make a path available to the next task; its files remain until then."""
        with self._lock:
            self._taken -= {path}
