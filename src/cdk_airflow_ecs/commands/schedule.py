"""Schedules of ECS tasks that run one Airflow command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs

from cdk_airflow_ecs.nag import acknowledge, acknowledge_wildcards
from cdk_airflow_ecs.permissions import statement
from cdk_airflow_ecs.plan import CLUSTER, Ref
from cdk_airflow_ecs.run_task_permissions import may_start

if TYPE_CHECKING:
    from constructs import Construct, IDependable

    from cdk_airflow_ecs.commands.airflow_task import AirflowTask
    from cdk_airflow_ecs.render_context import RenderContext, RenderedComponent

# EventBridge Scheduler retries for a day by default. A run that starts an hour late is better than none.
_RETRY_SECONDS = 3600


def add_schedule(
    task: AirflowTask, part: RenderedComponent, context: RenderContext, *, gate: IDependable, enabled: bool
) -> None:
    """Create the schedule of *task*, and its role.

    It is created and updated after the migration, and deleted before *gate* stops the tasks that it started. The role
    has its permissions inline, because a separate policy might exist only after the schedule.
    """
    network = context.network
    lost = _lost(part.scope, context)
    role = _role(part.scope, part, context, lost)
    schedule = scheduler.CfnSchedule(
        part.scope,
        "Schedule",
        description=f"Starts {part.task_definition.family}",
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        schedule_expression=str(task.schedule),
        schedule_expression_timezone=task.time_zone,
        state="ENABLED" if enabled else "DISABLED",
        target=scheduler.CfnSchedule.TargetProperty(
            arn=context.cluster.cluster_arn,
            role_arn=role.role_arn,
            dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=lost.queue_arn),
            retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                maximum_event_age_in_seconds=_RETRY_SECONDS, maximum_retry_attempts=60
            ),
            ecs_parameters=scheduler.CfnSchedule.EcsParametersProperty(
                # One revision, not the family: until the migration has run, the old revision is started.
                task_definition_arn=part.task_definition.task_definition_arn,
                task_count=1,
                launch_type="FARGATE",
                propagate_tags="TASK_DEFINITION",
                network_configuration=scheduler.CfnSchedule.NetworkConfigurationProperty(
                    awsvpc_configuration=scheduler.CfnSchedule.AwsVpcConfigurationProperty(
                        subnets=network.task_subnet_ids,
                        security_groups=[part.security_group.security_group_id],
                        assign_public_ip="ENABLED" if network.assign_public_ip else "DISABLED",
                    )
                ),
            ),
        ),
    )
    schedule.node.add_dependency(gate)


def _lost(scope: Construct, context: RenderContext) -> sqs.Queue:
    """Create the queue of runs that could not be started."""
    queue = sqs.Queue(
        scope,
        "Lost",
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=context.key,
        enforce_ssl=True,
        retention_period=Duration.days(14),
    )
    acknowledge(queue, "AwsSolutions-SQS3", "It is the dead-letter queue of schedules, which cdk-nag does not check")
    return queue


def _role(scope: Construct, part: RenderedComponent, context: RenderContext, lost: sqs.Queue) -> iam.Role:
    stack = Stack.of(scope)
    group = stack.format_arn(service="scheduler", resource="schedule-group", resource_name="default")
    start = [statement(each, context) for each in may_start(part.component.name, CLUSTER)]
    role = iam.Role(
        scope,
        "ScheduleRole",
        # EventBridge Scheduler User Guide, "Confused deputy prevention".
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com",
            conditions={"StringEquals": {"aws:SourceAccount": stack.account, "aws:SourceArn": group}},
        ),
        inline_policies={
            "Run": iam.PolicyDocument(
                statements=[
                    *start,
                    iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[lost.queue_arn]),
                    # The role also encrypts the messages.
                    iam.PolicyStatement(
                        actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[context.key.key_arn]
                    ),
                ]
            )
        },
    )
    wild = [part.attribute("family_arn"), context.text(Ref(CLUSTER, "tasks_arn"))]
    acknowledge_wildcards(role, wild, "Revisions of one family, tasks of one cluster")
    return role
