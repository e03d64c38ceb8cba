"""ECS tasks of the user's own in the template: definition, roles, image, grants, connections, network."""

from __future__ import annotations

import json
import re

import pytest
from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from test_edges import Groups
from test_security import analyze, deployed, several, statements

from cdk_airflow_ecs import AirflowImage, AirflowVersion, CeleryExecutor, EcsExecutor, LocalExecutor, SeveralExecutors
from synthesis import add_cluster, flat, resources, synthesize, tool

pytestmark = pytest.mark.xdist_group("synth")

PYTHON = "python:3.13-slim"
ROLE = "arn:aws:iam::123456789012:role/etl"


def template(build, **arguments):
    """A stack with a cluster that *build* adds to."""

    def fill(app):
        stack = Stack(app, "Data")
        build(stack, add_cluster(stack, **arguments))

    return synthesize(fill).templates["Data"]


def etl(**arguments):
    """Add a task, and do nothing with it."""
    return lambda _, cluster: cluster.add_ecs_task("etl", **arguments)


def definition(made):
    """The task's definition and its one container."""
    (found,) = (
        each["Properties"]
        for key, each in resources(made, "AWS::ECS::TaskDefinition").items()
        if key.startswith("AirflowTasksetl")
    )
    (container,) = found["ContainerDefinitions"]
    return found, container


def test_the_definition():
    """Everything that was said is in the task definition; no service, no shell, no secret of ours."""
    made = template(
        etl(
            image=ecs.ContainerImage.from_registry(PYTHON),
            entrypoint=["python"],
            command=["etl.py"],
            cpu=4096,
            memory_mib=16384,
            ephemeral_storage_gib=100,
            architecture="arm64",
            environment={"STAGE": "dev"},
        )
    )
    task, container = definition(made)
    assert (task["Cpu"], task["Memory"], task["EphemeralStorage"]) == ("4096", "16384", {"SizeInGiB": 100})
    assert task["RuntimePlatform"] == {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"}
    assert (task["NetworkMode"], task["RequiresCompatibilities"]) == ("awsvpc", ["FARGATE"])
    assert (container["Name"], container["Image"]) == ("etl", PYTHON)
    assert (container["EntryPoint"], container["Command"]) == (["python"], ["etl.py"])
    assert container["Environment"] == [{"Name": "STAGE", "Value": "dev"}]
    assert "Secrets" not in container
    assert container["LogConfiguration"]["Options"]["awslogs-stream-prefix"] == "etl"
    assert not [key for key in resources(made, "AWS::ECS::Service") if key.startswith("AirflowTasks")]


def test_an_image_as_it_is():
    """Without an entry point and a command of yours those of the image count."""
    _, container = definition(template(etl(image=ecs.ContainerImage.from_registry(PYTHON))))
    assert not {"EntryPoint", "Command", "Environment"} & {*container}


@pytest.mark.parametrize(
    ("entrypoint", "starts"),
    [([], ["/usr/bin/dumb-init", "--", "/entrypoint"]), (["/bin/sh", "-c"], ["/bin/sh", "-c"])],
)
def test_the_clusters_image(entrypoint, starts):
    """It is the default, begins as there unless told, and its entry point waits for no database."""
    made = template(etl(entrypoint=entrypoint, command=["python", "etl.py"]))
    _, container = definition(made)
    images = {
        c["Image"]
        for each in resources(made, "AWS::ECS::TaskDefinition").values()
        for c in each["Properties"]["ContainerDefinitions"]
    }
    assert images == {container["Image"]}
    assert (container["EntryPoint"], container["Command"]) == (starts, ["python", "etl.py"])
    assert container["Environment"] == [{"Name": "CONNECTION_CHECK_MAX_COUNT", "Value": "0"}]


def test_the_processor_of_the_clusters_image():
    """An image for ARM64 makes an ARM64 task."""
    task, _ = definition(template(etl(), image=AirflowImage.official(architecture="arm64")))
    assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"


@pytest.mark.parametrize("spot", [False, True])
def test_spot(spot):
    """The consent of the cluster is there when it is needed; the task definition knows nothing of it."""
    made = template(etl(spot=spot))
    found = resources(made, "AWS::ECS::ClusterCapacityProviderAssociations").values()
    assert [each["Properties"]["CapacityProviders"] for each in found] == (
        [["FARGATE", "FARGATE_SPOT"]] if spot else []
    )


def test_its_own_role():
    """Its task role may do nothing until something is granted to the handle."""
    made = template(etl())
    task, _ = definition(made)
    role = task["TaskRoleArn"]["Fn::GetAtt"][0]
    assert role.startswith("AirflowTasksetlTaskRole")
    assert [statement for owner, statement in statements(made) if owner == role] == []


def test_grants_and_connections():
    """The handle can be granted to and connected; the cluster's own roles and groups get nothing of it."""

    def build(stack, cluster):
        handle = cluster.add_ecs_task("etl", image=ecs.ContainerImage.from_registry(PYTHON))
        s3.Bucket.from_bucket_name(stack, "Lake", "lake").grant_read(handle)
        group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-1")
        attributes = {"instance_endpoint_address": "w.example.com", "instance_identifier": "w", "port": 5432}
        warehouse = rds.DatabaseInstance.from_database_instance_attributes(
            stack, "Warehouse", security_groups=[group], **attributes
        )
        handle.connections.allow_to_default_port(warehouse)
        assert handle.variable == "ecs_etl"
        assert re.fullmatch("Data-Airflow-[0-9a-f]{8}-Tasks-etl", handle.task_definition.family)
        assert handle.task_role.grant_principal is not None

    made = template(build)
    may = {role for role, statement in statements(made) if ":s3:::lake" in str(flat(statement["Resource"]))}
    assert [role[: len("AirflowTasksetlTaskRole")] for role in may] == ["AirflowTasksetlTaskRole"]
    rules = [
        each["Properties"]
        for each in resources(made, "AWS::EC2::SecurityGroupIngress").values()
        if each["Properties"]["GroupId"] == "sg-1"
    ]
    (rule,) = rules
    assert str(rule["SourceSecurityGroupId"]["Fn::GetAtt"][0]).startswith("AirflowTasksetlSecurityGroup")
    assert (rule["FromPort"], rule["ToPort"]) == (5432, 5432)


@pytest.mark.parametrize("imported", [False, True])
def test_a_role_of_the_users_own(imported):
    """A given role is the task's, and may be passed; the library writes nothing into it."""

    def build(stack, cluster):
        trust = iam.ServicePrincipal("ecs-tasks.amazonaws.com")
        role = iam.Role.from_role_arn(stack, "Mine", ROLE) if imported else iam.Role(stack, "Mine", assumed_by=trust)
        handle = cluster.add_ecs_task("etl", task_role=role)
        assert handle.task_role.node.path == role.node.path

    made = template(build)
    task, _ = definition(made)
    ((mine,),) = ([key for key in resources(made, "AWS::IAM::Role") if key.startswith("Mine")] or ["none"],)
    expected = ROLE if imported else f"<{mine}.Arn>"
    assert flat(task["TaskRoleArn"]) == expected
    assert not [key for key in resources(made, "AWS::IAM::Role") if key.startswith("AirflowTasksetlTaskRole")]
    assert [statement for owner, statement in statements(made) if owner == mine] == []
    passed = [
        flat(several(statement["Resource"]))
        for role, statement in statements(made)
        if role.startswith("AirflowPoolsdefaultTaskRole") and statement["Action"] == "iam:PassRole"
    ]
    assert passed == [[expected, flat(task["ExecutionRoleArn"])]]


EXECUTORS = {
    "Celery": (CeleryExecutor(), "AirflowPoolsdefault"),
    "Local": (LocalExecutor(), "AirflowComponentsScheduler"),
    "ECS": (EcsExecutor(), "AirflowTasksexecutor"),
}


@pytest.mark.parametrize("line", ["3.3", "2.11"])
@pytest.mark.parametrize("name", EXECUTORS)
def test_who_may_start_it(name, line):
    """What runs tasks may start it by its family, only in the cluster of such tasks, with its two roles."""
    executor, runs = EXECUTORS[name]
    build = etl(image=ecs.ContainerImage.from_registry(PYTHON))
    made = template(build, executor=executor, version=AirflowVersion.of(line))
    task, _ = definition(made)
    cluster, airflows = sorted(resources(made, "AWS::ECS::Cluster"), key=lambda key: "TaskCluster" not in key)
    (group,) = (key for key in resources(made, "AWS::Logs::LogGroup") if key.startswith("AirflowLogsContainers"))
    here = "<AWS::Region>:<AWS::AccountId>"
    family = [f"arn:<AWS::Partition>:ecs:{here}:task-definition/{task['Family']}:*"]
    tasks = [f"arn:<AWS::Partition>:ecs:{here}:task/<{cluster}>/*"]
    instances = [f"arn:<AWS::Partition>:ecs:{here}:container-instance/<{cluster}>/*"]
    streams = [f"arn:<AWS::Partition>:logs:{here}:log-group:<{group}>:log-stream:etl/etl/*"]
    only_here = {"ArnEquals": {"ecs:cluster": {"Fn::GetAtt": [cluster, "Arn"]}}}
    to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    follows = (["ecs:DescribeTasks", "ecs:StopTask"], tasks, None)
    starts = [
        (["ecs:RunTask"], family, only_here),
        follows,
        (["iam:PassRole"], [flat(task["TaskRoleArn"]), flat(task["ExecutionRoleArn"])], to_tasks),
        (["ecs:ListTasks"], instances, None),
        (["logs:GetLogEvents"], streams, None),
    ]
    waits = [(["ecs:DescribeTasks"], tasks, None), (["logs:GetLogEvents"], streams, None)]
    found = {}
    for role, statement in statements(made):
        given = several(statement["Action"]), flat(several(statement["Resource"])), statement.get("Condition")
        if given in [*starts, *waits]:
            found.setdefault(role, []).append(given)
    # The gate stops tasks of both clusters when the stack is deleted; the ECS executor watches and stops its own.
    watched = f"task/<{airflows}>/*"
    assert {role for role, statement in statements(made) if watched in str(flat(several(statement["Resource"])))} == {
        role
        for role, _ in statements(made)
        if role.startswith("AirflowGateHandlerRole")
        or (name == "ECS" and role.startswith("AirflowComponentsSchedulerTaskRole"))
    }
    assert sorted((role[: len(runs)], given) for role, given in found.items() if given != waits) == [(runs, starts)]
    assert [role[:27] for role, given in found.items() if given == waits] == ["AirflowComponentsTriggerer" + "T"]


def test_the_variable():
    """Where DAG files are read, and only there, stands one JSON text; what tasks may not know is not in it."""
    made = template(etl(image=ecs.ContainerImage.from_registry(PYTHON)))
    task, _ = definition(made)
    told = {
        container["Name"]: flat(variable["Value"])
        for each in resources(made, "AWS::ECS::TaskDefinition").values()
        for container in each["Properties"]["ContainerDefinitions"]
        for variable in container.get("Environment", ())
        if variable["Name"] == "AIRFLOW_VAR_ECS_ETL"
    }
    assert {*told} == {"dag-processor", "triggerer", "worker"}
    assert len({*told.values()}) == 1
    said = json.loads(told["worker"])
    services = resources(made, "AWS::ECS::Service").values()
    subnets = flat(next(iter(services))["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"])
    network = said["network_configuration"]["awsvpcConfiguration"]
    assert (said["task_definition"], network["subnets"]) == (task["Family"], subnets)
    (group,) = network["securityGroups"]
    assert group.startswith("<AirflowTasksetlSecurityGroup")
    assert (network["assignPublicIp"], said["launch_type"]) == ("DISABLED", "FARGATE")


def test_in_public_subnets():
    """There a task gets an address of its own, without which it reaches no image."""
    made = template(etl(), task_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC))
    (variable,) = {
        flat(variable["Value"])
        for each in resources(made, "AWS::ECS::TaskDefinition").values()
        for container in each["Properties"]["ContainerDefinitions"]
        for variable in container.get("Environment", ())
        if variable["Name"] == "AIRFLOW_VAR_ECS_ETL"
    }
    assert json.loads(variable)["network_configuration"]["awsvpcConfiguration"]["assignPublicIp"] == "ENABLED"


def test_nobody_reaches_it_and_it_reaches_nobody():
    """No rule of ours leads to it or from it, also if its variables are named like ours."""
    environment = {"METADATA_HOST": "db.example.com", "BROKER_HOST": "redis.example.com"}
    groups = Groups(template(etl(environment=environment)))
    assert "Tasks/etl" in groups.names.values()
    assert [rule for rule in groups.admitted() if "Tasks/etl" in rule[:2]] == []
    assert [rule for rule in groups.opened() if rule[0] == "Tasks/etl"] == [("Tasks/etl", "everywhere", None)]


@pytest.mark.parametrize("name", ["etl", "Executor", "executor", 3])
def test_refused(name):
    """A name that is taken or none is refused before anything is made, and the cluster is what it was."""

    def build(stack, cluster):
        cluster.add_ecs_task("etl")
        plan, tree = cluster.plan, [each.node.path for each in stack.node.find_all()]
        with pytest.raises(ValueError, match=r"two ECS tasks|an ECS task"):
            cluster.add_ecs_task(name)
        assert cluster.plan == plan
        assert [each.node.path for each in stack.node.find_all()] == tree

    assert template(build) == template(etl())


@tool("parliament", "parliament")
@pytest.mark.parametrize("line", ["3.3", "2.11"])
def test_parliament(line):
    """AWS knows each action, resource and condition of what is granted for ECS tasks, and they go together."""
    executor = SeveralExecutors([LocalExecutor(), CeleryExecutor(), EcsExecutor()])
    made = template(etl(spot=True), executor=executor, version=AirflowVersion.of(line))
    policies = {
        f"{role} {number}": {"Version": "2012-10-17", "Statement": [deployed(made, statement)]}
        for number, (role, statement) in enumerate(statements(made))
    }
    impossible = {"Effect": "Allow", "Action": "ecs:ListTasks", "Resource": "arn:aws:ecs:*:*:task-definition/x:1"}
    policies["control"] = {"Version": "2012-10-17", "Statement": [impossible]}
    found = analyze(policies)
    assert found.pop("control")
    assert {policy: findings for policy, findings in found.items() if findings} == {}
