"""Task logs in CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_logs as logs

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.images.names import image_of
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.logs.base import LogStore, remote_config, remote_environment
from cdk_airflow_ecs.logs.retention import check_retention, keep
from cdk_airflow_ecs.plan import Option, Permission, Ref, Value
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.images.airflow_image import AirflowImage

_RETENTION: Final = 90
# The first and last Airflow release whose constraints have an amazon provider before 9.32.0; 3.3.1 has 9.34.0.
_LOSE_LOGS: Final = AirflowVersion(3, 0, 0), AirflowVersion(3, 3, 0)
_AMAZON: Final = "apache-airflow-providers-amazon"
_KEEPS_LOGS: Final = (9, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudWatchLogs(LogStore):
    """Task logs in a CloudWatch log group, delayed by at most a minute while a task runs.

    Airflow 3 requires amazon provider 9.32.0, which official images contain since Airflow 3.3.1: earlier providers lose
    logs (apache/airflow#57356).

    Args:
        log_group: existing log group. The default is a new one, encrypted with the cluster's key and kept on stack
            deletion.
        retention_days: days until deletion in the new group, one of CloudWatch's values, such as 30, 90 or 365; None
            for never. The default is 90.

    Raises:
        ValueError: if CloudWatch does not support *retention_days*, or it is given with *log_group*.

    Examples:
        >>> CloudWatchLogs(retention_days=30).retention_days
        30
    """

    log_group: logs.ILogGroup | None = None
    retention_days: int | None = _RETENTION

    def __post_init__(self) -> None:
        validation.construct(
            "CloudWatchLogs log_group",
            self.log_group,
            "log_group_arn",
            "a logs.ILogGroup, such as logs.LogGroup.from_log_group_name(…)",
        )
        days = self.retention_days
        check_retention("CloudWatchLogs retention_days", days)
        if self.log_group is None:
            return
        if days != _RETENTION:
            raise IncompatibleArgumentsError(
                f"CloudWatchLogs retention_days={days} is not compatible with log_group=. Set the retention on the"
                " log group itself"
            )
        name = self.log_group.log_group_name
        if not is_token(name) and "#" in name:
            raise ValueError(
                f'CloudWatchLogs log_group must not have a "#" in its name, because Airflow ignores what follows; got'
                f" {validation.shown(name)}"
            )

    def config(self, version: AirflowVersion) -> Mapping[Option, Value]:
        """See :meth:`LogStore.config`."""
        return remote_config(version)

    def environment(self, version: AirflowVersion) -> Mapping[str, Value]:
        """See :meth:`LogStore.environment`."""
        return remote_environment(version)

    def unconcerned(self, version: AirflowVersion) -> Mapping[Option, Value]:
        """See :meth:`LogStore.unconcerned`. With these options, the DAG processor of Airflow 3 does not write logs."""
        del version
        return {("logging", "remote_logging"): "False"}

    def check_images(self, version: AirflowVersion, images: Mapping[str, AirflowImage]) -> Iterator[Advice]:
        """See :meth:`ClusterResource.check_images`."""
        first, last = _LOSE_LOGS
        if not first <= version <= last:
            return
        for name, image in images.items():
            keeps = image.source.has_newer(_AMAZON, _KEEPS_LOGS)
            if keeps is False:
                raise IncompatibleArgumentsError(
                    f"logs=CloudWatchLogs() loses logs with {image_of(name)}, because the amazon provider of Airflow"
                    f" {version} closes the handler too early (apache/airflow#57356). Use logs=S3Logs(), or"
                    f" AirflowImage.build(…) with {_AMAZON}>=9.32 in its requirements.txt"
                )
            if keeps is None:
                yield Advice(
                    f"cdk-airflow-ecs:cloudwatch-provider:{name}",
                    f"logs=CloudWatchLogs() loses logs unless {image_of(name)} has amazon provider 9.32.0 or newer"
                    f" (apache/airflow#57356). Airflow {version} was released with an older one",
                )

    def readers(self) -> tuple[Permission, ...]:
        """See :meth:`LogStore.readers`."""
        return (Permission(actions=("logs:GetLogEvents",), resources=(Ref("Logs", "streams_arn"),)),)

    def writers(self) -> tuple[Permission, ...]:
        """See :meth:`LogStore.writers`."""
        return (
            Permission(actions=("logs:CreateLogStream", "logs:PutLogEvents"), resources=(Ref("Logs", "streams_arn"),)),
            # Airflow's handler lists log groups, because it would create a missing group. IAM checks this permission on
            # "log-group::log-stream:" (hashicorp/terraform-provider-aws#8804).
            Permission(actions=("logs:DescribeLogGroups",), resources=(Ref("Logs", "groups_arn"),)),
        )

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        group = self.log_group
        if group is None:
            # Not "Tasks", the id of the bucket in S3Logs: the type of a logical id must not change.
            group = logs.LogGroup(
                scope,
                "TaskGroup",
                retention=logs.RetentionDays.INFINITE,
                encryption_key=context.key,
                removal_policy=context.removal_policy or RemovalPolicy.RETAIN,
            )
            keep(group, self.retention_days)

        def arn(name: str) -> str:
            return Stack.of(scope).format_arn(
                service="logs",
                region=group.env.region,
                resource="log-group",
                resource_name=name,
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )

        return Binding(
            attributes={
                # The ARN lacks the ":*" of CloudFormation's ARN, which Airflow would treat as part of the name.
                "uri": f"cloudwatch://{arn(group.log_group_name)}",
                "streams_arn": arn(f"{group.log_group_name}:log-stream:*"),
                "groups_arn": arn("*"),
            },
        )
