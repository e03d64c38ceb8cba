"""The output of containers in CloudWatch Logs, through the awslogs driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs.logs.retention import check_retention
from cdk_airflow_ecs.logs.router import RETENTION_DAYS, LogRouter

if TYPE_CHECKING:
    from cdk_airflow_ecs.logs.streams import LogStreams

_BUFFER_BYTES: Final = 25 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsLogs(LogRouter):
    """The output of containers in CloudWatch Logs, sent without ever holding up a task.

    Args:
        retention_days: delete it after so many days, one of the numbers that CloudWatch takes, such as 7, 90 or 365.
            The default is 30; None keeps it.

    Raises:
        ValueError: if CloudWatch does not take *retention_days*.
    """

    retention_days: int | None = RETENTION_DAYS

    def __post_init__(self) -> None:
        check_retention("AwsLogs retention_days", self.retention_days)

    @property
    def kept_days(self) -> int | None:
        """See :attr:`LogRouter.kept_days`."""
        return self.retention_days

    def driver(self, streams: LogStreams) -> ecs.LogDriver:
        """See :meth:`LogRouter.driver`."""
        # ``ecs.LogDrivers.aws_logs`` would let the execution role write every stream of the group.
        return ecs.GenericLogDriver(
            log_driver="awslogs",
            options={
                "awslogs-group": streams.group,
                "awslogs-stream-prefix": streams.prefix,
                "awslogs-region": streams.region,
                # A task must never wait for its log.
                "mode": "non-blocking",
                "max-buffer-size": f"{_BUFFER_BYTES}b",
            },
        )
