"""The contract of a log router, which decides where the output of containers goes."""

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
    """Takes the output of containers where it belongs."""

    @property
    def kept_days(self) -> int | None:
        """How long the cluster's own log group keeps what it gets; None is for ever."""
        return RETENTION_DAYS

    @property
    def permissions(self) -> Sequence[Permission]:
        """What the task role of every routed component may do."""
        return ()

    @property
    def has_sidecar(self) -> bool:
        """Whether each task gets a container of the router's own."""
        return False

    @property
    def memory_mib(self) -> int:
        """What it keeps of each task's memory for a container of its own."""
        return 0

    @property
    def in_ecr(self) -> bool:
        """Whether that container's image is pulled from Amazon ECR."""
        return False

    @property
    def log_options(self) -> Mapping[str, str]:
        """What each container tells its log driver in plain text, as far as it is the user's."""
        return {}

    @property
    def secrets(self) -> Mapping[str, ecs.Secret]:
        """The secrets that its log driver is given, by option."""
        return {}

    def with_secrets(self, secrets: Mapping[str, ecs.Secret]) -> LogRouter:
        """Return the same router with *secrets* instead of its own: the same secrets, as the cluster sees them."""
        del secrets
        return self

    @abstractmethod
    def driver(self, streams: LogStreams) -> ecs.LogDriver:
        """Give CDK the log driver of one container.

        Args:
            streams: the log streams of the container's component. Its execution role may write these only.
        """

    def attach(self, definition: ecs.TaskDefinition, streams: LogStreams) -> None:  # noqa: B027
        """Add to a task what the driver needs. Called after its containers were added."""
