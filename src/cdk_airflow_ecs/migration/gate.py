"""The gate that upgrades the database before any service rolls."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, cast

from aws_cdk import ArnFormat, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs

from cdk_airflow_ecs.nag import acknowledge_wildcards

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_kms as kms
    from constructs import Construct, IDependable

    from cdk_airflow_ecs.render_context import RenderContext, RenderedComponent


def build_gate(
    scope: Construct,
    migration: RenderedComponent,
    *,
    context: RenderContext,
    key: kms.IKey,
) -> CustomResource:
    """Make the custom resource that runs *migration* and fails the deploy when it fails.

    One Lambda of ours: CDK's provider framework would bring three of Node.js, a state machine and managed policies.
    The resource's only property is the task definition, so it runs again when image, version or command change.

    Args:
        scope: the construct named Gate.
        migration: the task to run.
        context: where it runs and logs; the last lines of a failed migration become the reason of the failed deploy.
        key: encrypts the function's own log and variables.
    """
    cluster, network, log_group = context.cluster, context.network, context.log_group
    container = migration.component.containers[0].name
    prefix = migration.component.path
    role = _role(scope, migration, cluster, log_group, container)
    own_logs = logs.LogGroup(
        scope,
        "HandlerLogs",
        retention=logs.RetentionDays.ONE_MONTH,
        encryption_key=key,
        removal_policy=RemovalPolicy.DESTROY,
    )
    own_logs.grant_write(role)
    # For the messages of the queue below.
    role.add_to_policy(iam.PolicyStatement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[key.key_arn]))
    lost = sqs.Queue(
        scope,
        "Lost",
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=Duration.days(14),
    )
    function = lambda_.Function(
        scope,
        "Handler",
        description="Upgrades the Airflow database before services start",
        runtime=lambda_.Runtime.PYTHON_3_14,
        handler="index.handler",
        code=lambda_.Code.from_asset(
            str(resources.files("cdk_airflow_ecs.in_lambda").joinpath("migration_gate")),
            exclude=["__pycache__", "*.pyc"],
        ),
        role=role,
        log_group=own_logs,
        timeout=Duration.minutes(15),
        memory_size=256,
        # The function hands over to itself before its time is up; a hand-over that Lambda could not deliver ends here.
        dead_letter_queue=lost,
        environment_encryption=key,
        environment={
            "CLUSTER": cluster.cluster_arn,
            "SUBNETS": ",".join(network.task_subnet_ids),
            "SECURITY_GROUP": migration.security_group.security_group_id,
            "ASSIGN_PUBLIC_IP": "ENABLED" if network.assign_public_ip else "DISABLED",
            "CONTAINER": container,
            "LOG_GROUP": log_group.log_group_name,
            "LOG_PREFIX": prefix,
        },
    )
    # The gate waits for the role's policies itself; CDK's dependency on the role repeats what its ARN says (W3005).
    cast("lambda_.CfnFunction", function.node.default_child).add_deletion_override("DependsOn")
    # Not a child of the role: the function depends on the role and all below it, which would close a circle.
    again = iam.Policy(
        scope,
        "HandOver",
        roles=[role],
        statements=[iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn])],
    )
    gate = CustomResource(
        scope,
        "Migration",
        service_token=function.function_arn,
        resource_type="Custom::AirflowMigration",
        service_timeout=Duration.hours(1),
        properties={"TaskDefinition": migration.task_definition.task_definition_arn},
    )
    gate.node.add_dependency(again, role, migration.task_role, migration.scope.node.find_child("ExecutionRole"))
    return gate


def wait_for(gate: CustomResource, dependencies: list[IDependable]) -> None:
    """Let *gate* wait for what the migration needs; a custom resource depends on nothing by itself."""
    gate.node.add_dependency(*dependencies)


def _role(
    scope: Construct, migration: RenderedComponent, cluster: ecs.ICluster, log_group: logs.ILogGroup, container: str
) -> iam.Role:
    stack = Stack.of(scope)
    definition = migration.task_definition
    family = stack.format_arn(service="ecs", resource="task-definition", resource_name=f"{definition.family}:*")
    tasks = stack.format_arn(service="ecs", resource="task", resource_name=f"{cluster.cluster_name}/*")
    in_cluster = {"ArnEquals": {"ecs:cluster": cluster.cluster_arn}}
    # Not from the log group's ARN, which ends with ":*" already and would match no stream.
    streams = stack.format_arn(
        service="logs",
        resource="log-group",
        resource_name=f"{log_group.log_group_name}:log-stream:{migration.component.path}/{container}/*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    role = iam.Role(scope, "HandlerRole", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    for actions, resource_arns, conditions in (
        (["ecs:RunTask"], [family], in_cluster),
        (["ecs:DescribeTasks", "ecs:StopTask"], [tasks], in_cluster),
        (
            ["iam:PassRole"],
            [definition.task_role.role_arn, definition.obtain_execution_role().role_arn],
            {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        ),
        (["logs:GetLogEvents"], [streams], {}),
    ):
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resource_arns, conditions=conditions))
    acknowledge_wildcards(
        role,
        [family, tasks, streams],
        "Revisions of one family, tasks of one cluster, streams of one container",
    )
    return role
