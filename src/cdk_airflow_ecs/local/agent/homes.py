"""The folders in which tasks have the homes of their containers."""

from __future__ import annotations

import shutil
import threading
from itertools import count
from pathlib import Path
from typing import Final

_LONGEST: Final = 60  # characters of a name: paths of sockets below a home may have 107


class Homes:
    """Folders whose paths are the same for each task that follows another.

    Airflow 2 keeps the path of the folder of DAGs with each DAG and each import error, and removes those that are gone
    only for the folder that it processes. On ECS this path never changes.

    Args:
        folder: where the folders are made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[Path] = set()
        self._lock = threading.Lock()

    def take(self, name: str) -> Path:
        """Return an empty folder, whose path no running task has.

        Args:
            name: the task's component or family.
        """
        with self._lock:
            paths = (self._folder / f"{name[:_LONGEST]}-{number}" for number in count(1))
            found = next(path for path in paths if path not in self._taken)
            self._taken.add(found)
        if found.exists():
            shutil.rmtree(found)
        found.mkdir(mode=0o700, parents=True)
        return found

    def release(self, path: Path | None) -> None:
        """Let the next task have this path; the files in the folder stay until then.

        Args:
            path: a path that :meth:`take` returned; None if the task ended before.
        """
        with self._lock:
            self._taken -= {path}
