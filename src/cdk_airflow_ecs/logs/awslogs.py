"""Container output in CloudWatch Logs, through the awslogs driver."""

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
    """Container output in CloudWatch Logs. Tasks never wait for their logs.

    Args:
        retention_days: days until deletion, one of CloudWatch's values, such as 7, 90 or 365; None for never.

    Raises:
        ValueError: if CloudWatch does not support *retention_days*.
    """

    retention_days: int | None = RETENTION_DAYS

    def __post_init__(self) -> None:
        check_retention("AwsLogs retention_days", self.retention_days)

    @property
    def kept_days(self) -> int | None:
        """See :attr:`LogRouter.kept_days`."""
        return self.retention_days

    @property
    def reaches_cloudwatch(self) -> bool:
        """See :attr:`LogRouter.reaches_cloudwatch`."""
        return True

    def driver(self, streams: LogStreams) -> ecs.LogDriver:
        """See :meth:`LogRouter.driver`."""
        # Not ``ecs.LogDrivers.aws_logs``, which would allow the execution role to write all streams of the group.
        return ecs.GenericLogDriver(
            log_driver="awslogs",
            options={
                "awslogs-group": streams.group,
                "awslogs-stream-prefix": streams.prefix,
                "awslogs-region": streams.region,
                # Tasks must not wait for their logs.
                "mode": "non-blocking",
                "max-buffer-size": f"{_BUFFER_BYTES}b",
            },
        )
