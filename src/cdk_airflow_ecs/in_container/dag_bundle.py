"""A DAG bundle of Airflow 3 for an S3 bucket. A running task keeps the DAG files with which it started.

install_modules.py installs it as ``airflow_ecs_bundle``, and dag_sync.py as ``airflow_ecs_sync``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.base import BaseDagBundle  # type: ignore[import-not-found]
from airflow_ecs_sync import Mirror, first_sync, hold, next_sync  # type: ignore[import-not-found]

# Code that generates DAGs reads this variable. Airflow itself reads the option earlier, before it creates bundles.
_OPTION = "AIRFLOW__CORE__DAGS_FOLDER"
_OWN = "AIRFLOW_ECS_DAGS_FOLDER"  # the value that this module set; a different value of the option is the user's


class S3DagBundle(BaseDagBundle):  # type: ignore[misc]
    """A bundle with local revisions, which a container's processes share and which never change.

    Airflow calls ``initialize`` for each task, and ``refresh`` repeatedly in the DAG processor.
    """

    supports_versioning = False

    def __init__(self, *, bucket_name: str, prefix: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._source = f"s3://{bucket_name}/{prefix}"
        self._link = self.base_dir / "live"
        self._folder: Path = self._link
        self._held: int | None = None

    def initialize(self) -> None:
        """Use the bucket's current state for the lifetime of this process and its children."""
        self.refresh()
        self._folder = Path(os.path.realpath(self._link))
        self._held = hold(str(self._folder))
        self._name_folder()
        super().initialize()

    def refresh(self) -> None:
        """Synchronize with the bucket. If that fails, the last revision remains in use."""
        self.base_dir.mkdir(parents=True, exist_ok=True)
        mirror = Mirror(self._source, str(self._link))
        with self.lock():
            (next_sync if mirror.current else first_sync)(mirror)
        # The DAG processor uses the link, whose path never changes: if a DAG's path changed, Airflow would create a DAG
        # version.
        self._folder = self._link
        if self._held is not None:
            os.close(self._held)
            self._held = None
        self._name_folder()

    def _name_folder(self) -> None:
        """Set ``[core] dags_folder`` for this process and its children."""
        if os.environ.get(_OPTION) == os.environ.get(_OWN):
            os.environ[_OPTION] = os.environ[_OWN] = str(self._folder)

    @property
    def path(self) -> Path:
        """The folder of the files."""
        return self._folder

    def get_current_version(self) -> None:
        """Return None: the bundle has no versions."""
        return None
