"""DAG files in the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.dags.base import DagPlan, DagSource

if TYPE_CHECKING:
    from constructs import Construct


@dataclass(frozen=True, slots=True)
class ImageDags(DagSource):
    """DAGs in the image. The web component runs the same image but does not read them.

    Args:
        folder: the DAG folder in the image.

    Raises:
        ValueError: if *folder* is not absolute.
    """

    folder: str = "/opt/airflow/dags"

    def __post_init__(self) -> None:
        if not isinstance(self.folder, str) or not self.folder.startswith("/"):
            raise ValueError(
                'ImageDags folder must be an absolute path in the image such as "/opt/airflow/dags", got'
                f" {validation.shown(self.folder)}"
            )

    @property
    def image_folder(self) -> str:
        """See :meth:`DagSource.image_folder`."""
        return self.folder

    def plan(self, version: AirflowVersion) -> DagPlan:
        """See :meth:`DagSource.plan`."""
        del version
        return DagPlan(config={("core", "dags_folder"): self.folder})

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        del scope, context
        return Binding()
