"""The gate that upgrades the database before any service rolls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from typing import TYPE_CHECKING, cast

from aws_cdk import ArnFormat, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs

from cdk_airflow_ecs.nag import acknowledge_wildcards
from cdk_airflow_ecs.staging import folder_of

if TYPE_CHECKING:
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
    own_logs = logs.LogGroup(
        scope,
        "HandlerLogs",
        retention=logs.RetentionDays.ONE_MONTH,
        encryption_key=key,
        removal_policy=RemovalPolicy.DESTROY,
    )
    lost = sqs.Queue(
        scope,
        "Lost",
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=Duration.days(14),
    )
    own = {
        own_logs.log_group_arn: ["logs:CreateLogStream", "logs:PutLogEvents"],
        lost.queue_arn: ["sqs:SendMessage"],
        # For the messages of that queue.
        key.key_arn: ["kms:Decrypt", "kms:GenerateDataKey"],
    }
    role = _role(scope, migration, context, own)
    program = resources.files("cdk_airflow_ecs.in_lambda").joinpath("migration_gate", "index.py").read_bytes()
    with folder_of(scope, {"index.py": program}) as folder:
        function = lambda_.Function(
            scope,
            "Handler",
            description="Upgrades the Airflow database before services start",
            runtime=lambda_.Runtime.PYTHON_3_14,
            handler="index.handler",
            code=lambda_.Code.from_asset(str(folder)),
            role=role,
            log_group=own_logs,
            timeout=Duration.minutes(15),
            memory_size=256,
            environment_encryption=key,
            environment={
                "CLUSTER": cluster.cluster_arn,
                "DRAINED": cluster.cluster_arn,
                "SUBNETS": network.attributes["task_subnets"],
                "SECURITY_GROUP": migration.security_group.security_group_id,
                "ASSIGN_PUBLIC_IP": "ENABLED" if network.assign_public_ip else "DISABLED",
                "CONTAINER": container,
                "LOG_GROUP": log_group.log_group_name,
                "LOG_PREFIX": prefix,
            },
        )
    resource = cast("lambda_.CfnFunction", function.node.default_child)
    # The function hands over to itself before its time is up; a hand-over that Lambda could not deliver ends here.
    # CDK's own argument would give the role a second policy, and let nothing wait for it.
    resource.dead_letter_config = lambda_.CfnFunction.DeadLetterConfigProperty(target_arn=lost.queue_arn)
    # CDK's dependency on the role repeats what its ARN says (cfn-lint W3005).
    resource.add_deletion_override("DependsOn")
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
    gate.node.add_dependency(again)
    return gate


def awaited_by_gate(parts: Iterable[RenderedComponent], *, spot: IDependable | None) -> list[IDependable]:
    """List what the gate waits for among *parts*: stores, and the rules and roles of what runs without a service.

    A security group's rules are its children, so waiting for the group is waiting for them.
    """
    found: list[IDependable] = [] if spot is None else [spot]
    for part in parts:
        found.append(part.scope if part.component.is_store else part.peer)
        if not part.component.has_service:
            found += [part.security_group, part.task_role, part.execution_role]
        if part.component.kind in ("executor task", "ECS task"):
            found.append(part.task_definition)  # The gate refers to that of its own task.
    return found


def wait_for(gate: CustomResource, dependencies: list[IDependable]) -> None:
    """Let *gate* wait for what the migration needs; a custom resource depends on nothing by itself."""
    gate.node.add_dependency(*dependencies)


def _role(
    scope: Construct,
    migration: RenderedComponent,
    context: RenderContext,
    own: Mapping[str, list[str]],
) -> iam.Role:
    """Make the role of the function with its policies inside; *own* is what it does with its own resources.

    CreateFunction checks ``sqs:SendMessage`` of a function with a dead-letter queue, so a policy that CloudFormation
    makes beside the function may come too late.
    """
    stack, cluster, log_group = Stack.of(scope), context.cluster, context.log_group
    definition = migration.task_definition
    family = stack.format_arn(service="ecs", resource="task-definition", resource_name=f"{definition.family}:*")
    tasks = stack.format_arn(service="ecs", resource="task", resource_name=f"{cluster.cluster_name}/*")
    # The resource that AWS's service authorization reference has for ListTasks, also for tasks on Fargate.
    instances = stack.format_arn(
        service="ecs", resource="container-instance", resource_name=f"{cluster.cluster_name}/*"
    )
    in_cluster = {"ArnEquals": {"ecs:cluster": cluster.cluster_arn}}
    # Not from the log group's ARN, which ends with ":*" already and would match no stream.
    streams = stack.format_arn(
        service="logs",
        resource="log-group",
        resource_name=f"{log_group.log_group_name}:log-stream:{migration.component.path}/"
        f"{migration.component.containers[0].name}/*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    pass_role = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    statements = [
        iam.PolicyStatement(actions=actions, resources=resource_arns, conditions=conditions)
        for actions, resource_arns, conditions in (
            (["ecs:RunTask"], [family], in_cluster),
            (["ecs:DescribeTasks", "ecs:StopTask"], [tasks], in_cluster),
            (["ecs:ListTasks"], [instances], in_cluster),
            (["iam:PassRole"], [migration.task_role.role_arn, migration.execution_role.role_arn], pass_role),
            (["logs:GetLogEvents"], [streams], {}),
            *((actions, [resource], {}) for resource, actions in own.items()),
        )
    ]
    role = iam.Role(
        scope,
        "HandlerRole",
        assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        inline_policies={"Gate": iam.PolicyDocument(statements=statements)},
    )
    acknowledge_wildcards(
        role,
        [family, tasks, instances, streams],
        "Revisions of one family, tasks of one cluster, streams of one container",
    )
    return role
