"""Sources of metrics that AWS does not publish: tasks that could not start, and failed migrations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs

from cdk_airflow_ecs.capacity.queue_scaling import NAMESPACE
from cdk_airflow_ecs.nag import acknowledge

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_events as events
    from constructs import Construct

# The fields of an event that are stored. Others, such as commands, contain the tokens of tasks.
_FIELDS: Final = {"time": "$.time", "group": "$.detail.group", "reason": "$.detail.stoppedReason"}


def watch_failed_starts(scope: Construct, cluster: ecs.ICluster) -> str:
    """Create the rule of tasks that could not start, and the queue with the reasons. Return the name of the rule.

    EventBridge needs the permission of a queue's customer key, whose policy may be the user's, so the key is SQS's.
    """
    found = scope.node.try_find_child("Rule")
    if found is not None:
        return cast("events.CfnRule", found).ref
    # Imported here because CDK modules load slowly, and only clusters with monitoring need this one.
    from aws_cdk import aws_events as events  # noqa: PLC0415

    queue = sqs.Queue(
        scope,
        "Reasons",
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(4),
    )
    acknowledge(queue, "AwsSolutions-SQS3", "Only people read it, so no message fails to be processed")
    template = ", ".join(f"{json.dumps(name)}: <{name}>" for name in _FIELDS)
    rule = events.CfnRule(
        scope,
        "Rule",
        description="Tasks of Airflow that ECS could not start",
        event_pattern={
            "source": ["aws.ecs"],
            "detail-type": ["ECS Task State Change"],
            "detail": {
                "clusterArn": [cluster.cluster_arn],
                "lastStatus": ["STOPPED"],
                "stopCode": ["TaskFailedToStart"],
            },
        },
        targets=[
            events.CfnRule.TargetProperty(
                id="Reasons",
                arn=queue.queue_arn,
                input_transformer=events.CfnRule.InputTransformerProperty(
                    input_paths_map=_FIELDS, input_template=f"{{{template}}}"
                ),
            )
        ],
    )
    queue.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal("events.amazonaws.com")],
            actions=["sqs:SendMessage"],
            resources=[queue.queue_arn],
            conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
        )
    )
    return rule.ref


def watch_migrations(scope: Construct, log_group: str, ecs_cluster: str) -> str:
    """Count failed migrations in the log of the gate's function, and return the name of the metric.

    Args:
        scope: the parent.
        log_group: name of the log group. A response to CloudFormation is a line that starts with SUCCESS or FAILED.
        ecs_cluster: name of the ECS cluster, which makes the metric's name unique.
    """
    name = f"FailedMigrations-{ecs_cluster}"
    if scope.node.try_find_child("FailedMigrations") is None:
        logs.CfnMetricFilter(
            scope,
            "FailedMigrations",
            log_group_name=log_group,
            filter_pattern='[status = "FAILED", ...]',
            metric_transformations=[
                logs.CfnMetricFilter.MetricTransformationProperty(
                    metric_namespace=NAMESPACE, metric_name=name, metric_value="1"
                )
            ],
        )
    return name
