"""The contract of a store for task logs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Final

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.plan import Option, Permission, Ref, Value

# Release lines whose task supervisor replaces an empty connection id by "aws_default", and fails if there is no such
# connection (50 of 50 tasks on 3.0.6; source of task SDK 1.0.5 to 1.1.8).
_WANT_CONNECTION: Final = ("3.0", "3.1")
_CONNECTION: Final = "airflow_ecs_logs"


class LogStore(ClusterResource):
    """Stores the logs of Airflow tasks, not the output of containers."""

    @property
    def outlive_tasks(self) -> bool:
        """Whether the logs still exist after the ECS task that wrote them. The default is True."""
        return True

    @abstractmethod
    def config(self, version: AirflowVersion) -> Mapping[Option, Value]:
        """Return the options of every process that writes or reads logs."""

    def environment(self, version: AirflowVersion) -> Mapping[str, Value]:
        """Return the environment variables that the options need. The default is none."""
        del version
        return {}

    def unconcerned(self, version: AirflowVersion) -> Mapping[Option, Value]:
        """Return the options of processes that neither write nor read logs; by default :meth:`config`."""
        return self.config(version)

    @abstractmethod
    def readers(self) -> tuple[Permission, ...]:
        """Return the permissions of a process that shows logs."""

    @abstractmethod
    def writers(self) -> tuple[Permission, ...]:
        """Return the permissions of a process that writes logs."""


def remote_config(version: AirflowVersion) -> Mapping[Option, Value]:
    """Return the options for logs at ``Ref("Logs", "uri")`` on AWS, accessed with the task role."""
    return {
        ("logging", "remote_logging"): "True",
        ("logging", "remote_base_log_folder"): Ref("Logs", "uri"),
        # An empty id selects the task role; Airflow would look up a name in its database first.
        ("logging", "remote_log_conn_id"): _CONNECTION if version.line in _WANT_CONNECTION else "",
    }


def remote_environment(version: AirflowVersion) -> Mapping[str, Value]:
    """Return an empty AWS connection, which uses the task role, for releases that require a named connection."""
    return {f"AIRFLOW_CONN_{_CONNECTION.upper()}": "aws://"} if version.line in _WANT_CONNECTION else {}
