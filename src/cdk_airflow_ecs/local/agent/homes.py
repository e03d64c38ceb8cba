"""Folders for the home directories of a task's containers."""

from __future__ import annotations

import shutil
import threading
from itertools import count
from pathlib import Path
from typing import Final

_LONGEST: Final = 60  # characters of a folder name, because paths of sockets are limited to 107


class Homes:
    """Allocates home folders; a new task reuses the path of a stopped one.

    Airflow 2 stores the path of the DAG folder with each DAG and import error. If the path changed, it would not
    remove stale entries.
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
        """Make a path available to the next task, which deletes its files."""
        with self._lock:
            self._taken -= {path}
