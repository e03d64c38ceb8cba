"""Settings of alarms and dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError

if TYPE_CHECKING:
    from aws_cdk import aws_sns as sns

_AWS_KEY: Final = "alias/aws/sns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """CloudWatch alarms with thresholds from the cluster's configuration, and a dashboard.

    An alarm costs $0.10 a month for each of its metrics, a dashboard $3.

    Args:
        alarm_topic: standard SNS topic for messages when an alarm starts and ends, in the cluster's account and region.
            Without it, alarms are only visible in CloudWatch.
        dashboard: whether to create a dashboard.

    Raises:
        ValueError: if *alarm_topic* cannot receive messages of alarms.

    Examples:
        >>> Monitoring().dashboard
        True
    """

    alarm_topic: sns.ITopic | None = None
    dashboard: bool = True

    def __post_init__(self) -> None:
        topic = self.alarm_topic
        validation.construct(
            "Monitoring alarm_topic", topic, "topic_arn", "an sns.ITopic, such as sns.Topic.from_topic_arn(…)"
        )
        if not isinstance(self.dashboard, bool):
            raise ValueError(f"Monitoring dashboard must be True or False, got {validation.shown(self.dashboard)}")
        if topic is None:
            return
        if topic.fifo:
            raise IncompatibleArgumentsError(
                "Monitoring alarm_topic must be a standard topic, got a FIFO topic, to which alarms cannot publish"
            )
        # AWS re:Post, "How do I configure a CloudWatch alarm with an encrypted SNS topic".
        if getattr(topic.master_key, "alias_name", None) == _AWS_KEY:
            raise IncompatibleArgumentsError(
                f"Monitoring alarm_topic is encrypted with {_AWS_KEY}, which CloudWatch may not use. Encrypt the topic"
                " with a kms.Key, or not at all"
            )
