"""The contract of a log router."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

    from cdk_airflow_ecs.logs.streams import LogStreams
    from cdk_airflow_ecs.plan import Permission

RETENTION_DAYS: Final = 30


class LogRouter(ABC):
    """Determines the destination of container output."""

    @property
    def kept_days(self) -> int | None:
        """Retention of the cluster's log group in days; None is forever."""
        return RETENTION_DAYS

    @property
    def permissions(self) -> Sequence[Permission]:
        """Permissions that the router needs in the task role of each service."""
        return ()

    @property
    def has_sidecar(self) -> bool:
        """Whether each task has a sidecar container."""
        return False

    @property
    def reaches_cloudwatch(self) -> bool:
        """Whether CloudWatch Logs receives the output unchanged, and so extracts metrics from it."""
        return False

    @property
    def memory_mib(self) -> int:
        """Memory of each task that is reserved for the sidecar."""
        return 0

    @property
    def in_ecr(self) -> bool:
        """Whether the sidecar's image is pulled from Amazon ECR."""
        return False

    @property
    def log_options(self) -> Mapping[str, str]:
        """The log driver's options that the user sets in plain text."""
        return {}

    @property
    def secrets(self) -> Mapping[str, ecs.Secret]:
        """Secrets of the log driver, by option."""
        return {}

    def with_secrets(self, secrets: Mapping[str, ecs.Secret]) -> LogRouter:
        """Return a copy with *secrets*, which the cluster imported and which replace the user's."""
        del secrets
        return self

    @abstractmethod
    def driver(self, streams: LogStreams) -> ecs.LogDriver:
        """Return the log driver of one container. It allows the task's execution role to write only *streams*."""

    def attach(self, definition: ecs.TaskDefinition, streams: LogStreams) -> None:  # noqa: B027
        """Add the sidecar that the driver needs, if any, to a task definition with containers."""
