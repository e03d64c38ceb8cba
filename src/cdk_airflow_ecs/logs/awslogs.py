"""The output of containers in CloudWatch Logs, through the awslogs driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aws_cdk import Size
from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs.logs.retention import check_retention
from cdk_airflow_ecs.logs.router import RETENTION_DAYS, LogRouter

if TYPE_CHECKING:
    from aws_cdk import aws_logs as logs

_BUFFER: Final = Size.mebibytes(25)


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

    def driver(self, group: logs.ILogGroup, prefix: str) -> ecs.LogDriver:
        """See :meth:`LogRouter.driver`."""
        return ecs.LogDrivers.aws_logs(
            stream_prefix=prefix,
            log_group=group,
            # A task must never wait for its log.
            mode=ecs.AwsLogDriverMode.NON_BLOCKING,
            max_buffer_size=_BUFFER,
        )
