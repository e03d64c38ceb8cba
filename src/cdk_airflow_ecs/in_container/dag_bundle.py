"""A bucket as a DAG bundle of Airflow 3 with which a task keeps the files that it began with.

install_modules.py puts this into an image as the module ``airflow_ecs_bundle``, and dag_sync.py as
``airflow_ecs_sync``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.base import BaseDagBundle  # type: ignore[import-not-found]
from airflow_ecs_sync import Mirror, first_sync, hold, next_sync  # type: ignore[import-not-found]

# DAG factories look there for their files. Airflow itself has read the option before any bundle is made.
_OPTION = "AIRFLOW__CORE__DAGS_FOLDER"
_OWN = "AIRFLOW_ECS_DAGS_FOLDER"  # the value that this module has set: another one is the user's


class S3DagBundle(BaseDagBundle):  # type: ignore[misc]
    """Processes of a container share the bucket's revisions; new ones change nothing in those that are there.

    Airflow initializes a bundle for each task, and refreshes the DAG processor's again and again.
    """

    supports_versioning = False

    def __init__(self, *, bucket_name: str, prefix: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._source = f"s3://{bucket_name}/{prefix}"
        self._link = self.base_dir / "live"
        self._folder: Path = self._link
        self._held: int | None = None

    def initialize(self) -> None:
        """Take the bucket's present state, and keep it for as long as this process and its children live."""
        self.refresh()
        self._folder = Path(os.path.realpath(self._link))
        self._held = hold(str(self._folder))
        self._name_folder()
        super().initialize()

    def refresh(self) -> None:
        """Look at the bucket; if it cannot be read, the last state stays."""
        self.base_dir.mkdir(parents=True, exist_ok=True)
        mirror = Mirror(self._source, str(self._link))
        with self.lock():
            (next_sync if mirror.current else first_sync)(mirror)
        # The DAG processor goes through the link: where a DAG's path is part of it, another path is another version.
        self._folder = self._link
        if self._held is not None:
            os.close(self._held)
            self._held = None
        self._name_folder()

    def _name_folder(self) -> None:
        """Let ``[core] dags_folder`` name the files that are imported, for this process and its children."""
        if os.environ.get(_OPTION) == os.environ.get(_OWN):
            os.environ[_OPTION] = os.environ[_OWN] = str(self._folder)

    @property
    def path(self) -> Path:
        """Where the files are."""
        return self._folder

    def get_current_version(self) -> None:
        """Say that there are no versions to choose from."""
        return None
