"""The migration gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, cast

from aws_cdk import CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs

from cdk_airflow_ecs.nag import acknowledge_wildcards
from cdk_airflow_ecs.staging import folder_of

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_kms as kms
    from constructs import Construct, IDependable

    from cdk_airflow_ecs.migration.snapshots import GateSnapshots
    from cdk_airflow_ecs.render_context import RenderContext, RenderedComponent


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The custom resource that runs the migration, and when it is deleted stops tasks that belong to no service.

    *lost* has calls that Lambda could not deliver, *drained* the ARNs of these tasks' ECS clusters, by name in refs.
    """

    resource: CustomResource
    function: lambda_.Function
    lost: sqs.Queue
    role: iam.Role
    policy: iam.PolicyDocument
    drained: dict[str, str]

    def drain(self, clusters: Mapping[str, ecs.ICluster]) -> None:
        """Add *clusters*, by name in refs, to the clusters whose tasks the gate stops."""
        if added := {name: cluster for name, cluster in clusters.items() if name not in self.drained}:
            for name, cluster in added.items():
                self.drained[name] = cluster.cluster_arn
                self.policy.add_statements(*_stopping(self.role, cluster))
            self.function.add_environment("DRAINED", ",".join(self.drained.values()))


def build_gate(
    scope: Construct,
    migration: RenderedComponent,
    *,
    context: RenderContext,
    key: kms.IKey,
    snapshots: GateSnapshots | None,
) -> Gate:
    """Create the custom resource that runs *migration*. If it fails, the deploy fails, with the last log lines.

    It uses one Lambda function, because CDK's provider framework would create three in Node.js, a state machine and
    managed policies. Its properties are the task definition and the minor release, so it runs when image, version or
    command change.

    *key* encrypts the function's log and variables. *snapshots* are taken before a migration to another minor release.
    """
    cluster, network = context.cluster, context.network
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
        # The function encrypts messages to its dead-letter queue.
        key.key_arn: ["kms:Decrypt", "kms:GenerateDataKey"],
    }
    role, policy = _role(scope, migration, context, own)
    if snapshots is not None:
        statements, wildcards = snapshots.statements(scope)
        policy.add_statements(*statements)
        acknowledge_wildcards(role, wildcards, "Snapshots of one database, whose names are not known in advance")
    programs = resources.files("cdk_airflow_ecs.in_lambda").joinpath("migration_gate")
    files = {name: programs.joinpath(name).read_bytes() for name in ("index.py", "snapshots.py")}
    with folder_of(scope, files) as folder:
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
                "SUBNETS": cast("str", network.attributes["task_subnets"]),
                "SECURITY_GROUP": migration.security_group.security_group_id,
                "ASSIGN_PUBLIC_IP": "ENABLED" if network.assign_public_ip else "DISABLED",
                "CONTAINER": container,
                "LOG_GROUP": migration.streams.group,
                "LOG_PREFIX": prefix,
                **(snapshots.environment if snapshots is not None else {}),
            },
        )
    resource = cast("lambda_.CfnFunction", function.node.default_child)
    # The queue receives invocations that Lambda cannot deliver. CDK's own argument for it would add a separate policy
    # to the role, on which no resource could depend.
    resource.dead_letter_config = lambda_.CfnFunction.DeadLetterConfigProperty(target_arn=lost.queue_arn)
    # The role's ARN already implies CDK's dependency on the role (cfn-lint W3005).
    resource.add_deletion_override("DependsOn")
    # The policy is not a child of the role: the function depends on the role's children, and this policy on the
    # function.
    again = iam.Policy(
        scope,
        "HandOver",
        roles=[role],
        statements=[iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn])],
    )
    migrated = CustomResource(
        scope,
        "Migration",
        service_token=function.function_arn,
        resource_type="Custom::AirflowMigration",
        service_timeout=Duration.hours(1),
        properties={
            "TaskDefinition": migration.task_definition.task_definition_arn,
            **(snapshots.properties if snapshots is not None else {}),
        },
    )
    migrated.node.add_dependency(again)
    gate = Gate(resource=migrated, function=function, lost=lost, role=role, policy=policy, drained={})
    gate.drain(context.ecs_clusters)
    return gate


def awaited_by_gate(parts: Iterable[RenderedComponent], offers: Iterable[IDependable]) -> list[IDependable]:
    """Return what the gate depends on: capacity providers (*offers*), stores, security groups, and roles of tasks.

    A dependency on a security group includes its rules, which are its children.
    """
    found: list[IDependable] = [*offers]
    for part in parts:
        found.append(part.scope if part.component.is_store else part.peer)
        if not part.component.has_service:
            found += [part.security_group, part.task_role, part.execution_role]
        if part.component.kind in ("command task", "executor task", "ECS task"):
            found.append(part.task_definition)  # the gate refers only to the migration's definition
    return found


def _role(
    scope: Construct,
    migration: RenderedComponent,
    context: RenderContext,
    own: Mapping[str, list[str]],
) -> tuple[iam.Role, iam.PolicyDocument]:
    """Create the function's role with inline policies. *own* has actions on its own resources, by ARN.

    CreateFunction checks the permission for the dead-letter queue, and a separate policy might exist only after it.
    """
    stack, cluster = Stack.of(scope), context.cluster
    definition = migration.task_definition
    family = stack.format_arn(service="ecs", resource="task-definition", resource_name=f"{definition.family}:*")
    tasks = stack.format_arn(service="ecs", resource="task", resource_name=f"{cluster.cluster_name}/*")
    in_cluster = {"ArnEquals": {"ecs:cluster": cluster.cluster_arn}}
    streams = migration.attribute("log_streams_arn")
    pass_role = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    statements = [
        iam.PolicyStatement(actions=actions, resources=resource_arns, conditions=conditions)
        for actions, resource_arns, conditions in (
            (["ecs:RunTask"], [family], in_cluster),
            (["ecs:TagResource"], [tasks], {"StringEquals": {"ecs:CreateAction": "RunTask"}}),
            (["iam:PassRole"], [migration.task_role.role_arn, migration.execution_role.role_arn], pass_role),
            (["logs:GetLogEvents"], [streams], {}),
            *((actions, [resource], {}) for resource, actions in own.items()),
        )
    ]
    policy = iam.PolicyDocument(statements=statements)
    role = iam.Role(
        scope,
        "HandlerRole",
        assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        inline_policies={"Gate": policy},
    )
    acknowledge_wildcards(role, [family, streams], "Revisions of one family, streams of one container")
    return role, policy


def _stopping(role: iam.Role, cluster: ecs.ICluster) -> list[iam.PolicyStatement]:
    stack, name = Stack.of(role), cluster.cluster_name
    tasks = stack.format_arn(service="ecs", resource="task", resource_name=f"{name}/*")
    # ListTasks requires container instances as its resource, also on Fargate (AWS service authorization reference).
    instances = stack.format_arn(service="ecs", resource="container-instance", resource_name=f"{name}/*")
    acknowledge_wildcards(role, [tasks, instances], "Tasks of one cluster, whose names are not known in advance")
    in_cluster = {"ArnEquals": {"ecs:cluster": cluster.cluster_arn}}
    return [
        iam.PolicyStatement(actions=["ecs:DescribeTasks", "ecs:StopTask"], resources=[tasks], conditions=in_cluster),
        iam.PolicyStatement(actions=["ecs:ListTasks"], resources=[instances], conditions=in_cluster),
    ]
