"""The handle of an ECS task that runs one Airflow command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jsii
from aws_cdk import CfnOutput
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam

from cdk_airflow_ecs.permissions import statement
from cdk_airflow_ecs.plan import CLUSTER, Ref
from cdk_airflow_ecs.run_task_permissions import may_start

if TYPE_CHECKING:
    from cdk_airflow_ecs.render_context import RenderContext, RenderedComponent


def run_command(part: RenderedComponent, context: RenderContext) -> str:
    """Return the AWS CLI command that starts the task of *part*."""
    network, region = context.network.attributes, context.text(Ref("Stack", "region"))
    vpc = (
        f"subnets=[{network['task_subnets']}],securityGroups=[{part.security_group.security_group_id}],"
        f"assignPublicIp={network['assign_public_ip_word']}"
    )
    return (
        f"aws ecs run-task --region {region} --cluster {context.cluster.cluster_name} --launch-type FARGATE"
        f" --task-definition {part.task_definition.family} --propagate-tags TASK_DEFINITION"
        f" --network-configuration 'awsvpcConfiguration={{{vpc}}}'"
        " --query '[tasks[].taskArn,failures[].reason]' --output text"
    )


def add_run_command(part: RenderedComponent, context: RenderContext) -> None:
    """Add the stack's output with the command that starts the task."""
    family = part.component.path.rpartition("/")[2]
    CfnOutput(
        part.scope, "RunCommand", value=run_command(part, context), description=f"Runs the Airflow task {family} once"
    )


@jsii.implements(ec2.IConnectable, iam.IGrantable)
class AirflowTaskHandle:
    """An ECS task that runs one Airflow command, for people, pipelines and grants.

    Args:
        part: the rendered component.
        context: the context in which it was rendered.
    """

    def __init__(self, part: RenderedComponent, context: RenderContext) -> None:
        self._part, self._context = part, context

    @property
    def run_command(self) -> str:
        """The AWS CLI command that starts the task, as a token. It is also an output of the stack."""
        return run_command(self._part, self._context)

    @property
    def task_definition(self) -> ecs.TaskDefinition:
        """The ECS task definition."""
        return self._part.task_definition

    @property
    def task_role(self) -> iam.IRole:
        """The task role, for resource policies."""
        return self._part.task_role

    @property
    def connections(self) -> ec2.Connections:
        """The task's security group: ``task.connections.allow_to_default_port(warehouse)``."""
        return ec2.Connections(security_groups=[self._part.peer])

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The task role, as a principal for grants."""
        return self._part.task_role.grant_principal

    def grant_run(self, grantee: iam.IGrantable) -> None:
        """Allow *grantee*, such as the role of a pipeline, to run the command of :attr:`run_command`."""
        for each in may_start(self._part.component.name, CLUSTER):
            grantee.grant_principal.add_to_principal_policy(statement(each, self._context))
