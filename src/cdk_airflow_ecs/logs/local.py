"""Task logs on the disk of the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.logs.base import LogStore
from cdk_airflow_ecs.plan import Option, Permission, Value

if TYPE_CHECKING:
    from constructs import Construct


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalLogs(LogStore):
    """Task logs on the worker's disk, lost when the worker stops. For short-lived clusters."""

    @property
    def outlive_tasks(self) -> bool:
        """See :meth:`LogStore.outlive_tasks`."""
        return False

    def config(self, version: AirflowVersion) -> Mapping[Option, Value]:
        """See :meth:`LogStore.config`."""
        del version
        return {("logging", "remote_logging"): "False"}

    def readers(self) -> tuple[Permission, ...]:
        """See :meth:`LogStore.readers`."""
        return ()

    def writers(self) -> tuple[Permission, ...]:
        """See :meth:`LogStore.writers`."""
        return ()

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        del scope, context
        return Binding()
