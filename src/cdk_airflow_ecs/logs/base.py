"""The contract of a store for task logs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Final

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.plan import Option, Permission, Ref, Value

# In these the task supervisor takes an empty connection id for "aws_default", and ends when there is none: run with
# 3.0.6, 50 of 50 tasks failed; task SDK 1.0.5 to 1.1.8 read.
_WANT_CONNECTION: Final = ("3.0", "3.1")
_CONNECTION: Final = "airflow_ecs_logs"


class LogStore(ClusterResource):
    """Keeps the logs of Airflow tasks; what containers print is not its concern."""

    @property
    def outlive_tasks(self) -> bool:
        """Whether the logs are still there after the ECS task that wrote them. The default is yes."""
        return True

    @abstractmethod
    def config(self, version: AirflowVersion) -> Mapping[Option, Value]:
        """The options of every process: writers write there, and the web component reads there."""

    def environment(self, version: AirflowVersion) -> Mapping[str, Value]:
        """The variables that those options read. The default is none."""
        del version
        return {}

    def unconcerned(self, version: AirflowVersion) -> Mapping[Option, Value]:
        """The options of a process that neither writes nor reads task logs. The default is those of every process."""
        return self.config(version)

    @abstractmethod
    def readers(self) -> tuple[Permission, ...]:
        """What a process that shows logs may do."""

    @abstractmethod
    def writers(self) -> tuple[Permission, ...]:
        """What a process that writes logs may do."""


def remote_config(version: AirflowVersion) -> Mapping[Option, Value]:
    """Where logs on AWS are, at ``Ref("Logs", "uri")``, and that the task role is the way to it."""
    return {
        ("logging", "remote_logging"): "True",
        ("logging", "remote_base_log_folder"): Ref("Logs", "uri"),
        # Empty means the task role; a name would be looked up in the database first.
        ("logging", "remote_log_conn_id"): _CONNECTION if version.line in _WANT_CONNECTION else "",
    }


def remote_environment(version: AirflowVersion) -> Mapping[str, Value]:
    """The connection that some releases want by name: one to AWS that says nothing, so the task role again."""
    return {f"AIRFLOW_CONN_{_CONNECTION.upper()}": "aws://"} if version.line in _WANT_CONNECTION else {}
