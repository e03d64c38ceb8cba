"""The ECS executor in the template: its subnets, tasks and grants."""

from __future__ import annotations

from dataclasses import replace

import jsii
import pytest
from aws_cdk import Aspects, IAspect, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_s3 as s3

from cdk_airflow_ecs import AirflowImage, AirflowVersion, CeleryExecutor, EcsExecutor, SeveralExecutors
from synthesis import add_cluster, flat, make_app, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")

PRIVATE, PUBLIC = ec2.SubnetType.PRIVATE_WITH_EGRESS, ec2.SubnetType.PUBLIC


def definition(template, name):
    """Return the only container definition with that name."""
    (found,) = (
        container
        for task in resources(template, "AWS::ECS::TaskDefinition").values()
        for container in task["Properties"]["ContainerDefinitions"]
        if container["Name"] == name
    )
    return found


def options(template, name="scheduler"):
    """Return the options of the ECS executor in a container."""
    section = "AIRFLOW__AWS_ECS_EXECUTOR__"
    variables = definition(template, name)["Environment"]
    return {v["Name"].removeprefix(section): flat(v["Value"]) for v in variables if v["Name"].startswith(section)}


@pytest.mark.parametrize("kind", [PRIVATE, PUBLIC])
def test_executor_tasks_use_the_subnets_of_services(kind):
    """In public subnets, executor tasks have public addresses, like services."""
    template = template_of(executor=EcsExecutor(), task_subnets=ec2.SubnetSelection(subnet_type=kind))
    (scheduler,) = (
        service["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]
        for name, service in resources(template, "AWS::ECS::Service").items()
        if name.startswith("AirflowComponentsScheduler")
    )
    found = options(template)
    assert found["SUBNETS"].split(",") == flat(scheduler["Subnets"])
    assert found["ASSIGN_PUBLIC_IP"] == {"ENABLED": "True", "DISABLED": "False"}[scheduler["AssignPublicIp"]]
    assert found == options(template, "api-server")


def test_before_airflow_3_2_the_entry_point_of_executor_tasks_loads_dags():
    """The ECS executor replaces the command, so the program that loads DAG files is in the entry point."""
    template = template_of(executor=EcsExecutor(), version=AirflowVersion.V2_11)
    task, worker = (
        definition(each, name)
        for each, name in ((template, "task"), (template_of(version=AirflowVersion.V2_11), "worker"))
    )
    assert task["EntryPoint"] == worker["EntryPoint"]
    assert flat(task["EntryPoint"])[-3].startswith("s3://<AirflowDagsBucket")
    assert task["Command"] == ["airflow", "version"]


class ElsewhereExecutor(EcsExecutor):
    """A third-party executor whose tasks run another image."""

    def plan(self, context):
        """Return the plan of EcsExecutor, with another image for the executor tasks."""
        found = super().plan(context)
        image = AirflowImage.registry("ghcr.io/acme/airflow:tasks", entrypoint=["/init"])
        return replace(found, tasks=tuple(replace(task, image=image) for task in found.tasks))


def test_only_executor_tasks_run_the_image_of_the_executor():
    """Only the executor's tasks run the image that it plans."""
    template = template_of(executor=ElsewhereExecutor())
    task = definition(template, "task")
    assert (task["Image"], task["EntryPoint"][:3]) == ("ghcr.io/acme/airflow:tasks", ["/init", "python", "-c"])
    assert definition(template, "scheduler")["Image"] == "apache/airflow:3.3.2-python3.12"


@jsii.implements(IAspect)
class Agents:
    """An Aspect that adds an agent to every task definition."""

    def visit(self, node):
        """Add the agent's container once."""
        if isinstance(node, ecs.FargateTaskDefinition) and node.find_container("agent") is None:
            node.add_container("agent", image=ecs.ContainerImage.from_registry("example.com/agent:1"))


def test_an_aspect_that_adds_a_sidecar_to_executor_tasks_fails():
    """A container that an Aspect adds to executor tasks fails the synthesis."""
    app = make_app()
    stack = Stack(app, "Data")
    add_cluster(stack, executor=EcsExecutor())
    Aspects.of(stack).add(Agents())
    task = "Data/Airflow/Tasks/executor/TaskDefinition"
    words = rf"\[{task}\] agent cannot run beside task: .*CeleryExecutor"
    with pytest.raises(RuntimeError, match=words) as refusal:
        app.synth()
    assert str(refusal.value).count("cannot run beside") == 1


def test_grants_to_the_cluster_reach_all_task_roles_that_run_user_code():
    """Grants to the cluster reach all roles that run user code."""

    def build(app):
        stack = Stack(app, "Data")
        cluster = add_cluster(stack, executor=SeveralExecutors([CeleryExecutor(), EcsExecutor()]))
        s3.Bucket.from_bucket_name(stack, "Lake", "lake").grant_read(cluster)

    template = synthesize(build).templates["Data"]
    (roles,) = (
        {role["Ref"] for role in policy["Properties"]["Roles"]}
        for policy in resources(template, "AWS::IAM::Policy").values()
        if ":s3:::lake" in str(flat(policy["Properties"]["PolicyDocument"]))
    )
    places = ("Poolsdefault", "Tasksexecutor", "ComponentsDagProcessor", "ComponentsTriggerer")
    assert len(roles) == len(places)
    for place in places:
        assert [role for role in roles if role.startswith(f"Airflow{place}TaskRole")], place
