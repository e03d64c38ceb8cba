"""ECS tasks that the user adds, in the template."""

from __future__ import annotations

import json
import re

import pytest
from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from test_edges import Groups
from test_security import analyze, deployed, several, statements

from cdk_airflow_ecs import AirflowImage, AirflowVersion, CeleryExecutor, EcsExecutor, LocalExecutor, SeveralExecutors
from synthesis import add_cluster, flat, resources, synthesize, tool

pytestmark = pytest.mark.xdist_group("synth")

PYTHON = "python:3.13-slim"
ROLE = "arn:aws:iam::123456789012:role/etl"


def template(build, **arguments):
    """Return the template of a cluster after *build* has added to it."""

    def fill(app):
        stack = Stack(app, "Data")
        build(stack, add_cluster(stack, **arguments))

    return synthesize(fill).templates["Data"]


def etl(**arguments):
    """Return a function that adds an ECS task with these arguments."""
    return lambda _, cluster: cluster.add_ecs_task("etl", **arguments)


def definition(result):
    """Return the task definition with its only container."""
    (found,) = (
        each["Properties"]
        for key, each in resources(result, "AWS::ECS::TaskDefinition").items()
        if key.startswith("AirflowTasksetl")
    )
    (container,) = found["ContainerDefinitions"]
    return found, container


def test_all_arguments_of_an_ecs_task_are_in_the_task_definition():
    """An ECS task has no service and no secret of the cluster."""
    result = template(
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
    task, container = definition(result)
    assert (task["Cpu"], task["Memory"], task["EphemeralStorage"]) == ("4096", "16384", {"SizeInGiB": 100})
    assert task["RuntimePlatform"] == {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"}
    assert (task["NetworkMode"], task["RequiresCompatibilities"]) == ("awsvpc", ["FARGATE"])
    assert (container["Name"], container["Image"]) == ("etl", PYTHON)
    assert (container["EntryPoint"], container["Command"]) == (["python"], ["etl.py"])
    assert container["Environment"] == [{"Name": "STAGE", "Value": "dev"}]
    assert "Secrets" not in container
    assert container["LogConfiguration"]["Options"]["awslogs-stream-prefix"] == "etl"
    assert not [key for key in resources(result, "AWS::ECS::Service") if key.startswith("AirflowTasks")]


@pytest.mark.parametrize("place", ["imported", "another stack"])
def test_registry_credentials_of_an_image_may_have_a_separate_key(place):
    """The execution role reads the credentials and decrypts them, without a dependency cycle between stacks."""

    def fill(app):
        stack = Stack(app, "Data")
        owner = stack if place == "imported" else Stack(app, "Secrets")
        if place == "imported":
            key = kms.Key.from_key_arn(owner, "Key", "arn:aws:kms:eu-central-1:123456789012:key/1")
            arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:login-AbCdEf"
            login = secretsmanager.Secret.from_secret_attributes(
                owner, "Login", secret_complete_arn=arn, encryption_key=key
            )
        else:
            login = secretsmanager.Secret(owner, "Login", encryption_key=kms.Key(owner, "Key"))
        add_cluster(stack).add_ecs_task("etl", image="ghcr.io/acme/etl:1", credentials=login)

    result = synthesize(fill).templates["Data"]
    _, container = definition(result)
    assert container["Image"] == "ghcr.io/acme/etl:1"
    assert container["RepositoryCredentials"]["CredentialsParameter"]
    (decrypts,) = (
        statement
        for role, statement in statements(result)
        if role.startswith("AirflowTasksetlExecutionRole") and "kms:Decrypt" in several(statement["Action"])
    )
    assert "secretsmanager" in str(decrypts["Condition"])


def test_default_entry_point_and_command_are_those_of_the_image():
    """Without arguments, the task definition contains neither entry point nor command."""
    _, container = definition(template(etl(image=ecs.ContainerImage.from_registry(PYTHON))))
    assert not {"EntryPoint", "Command", "Environment"} & {*container}


@pytest.mark.parametrize(
    ("entrypoint", "starts"),
    [([], ["/usr/bin/dumb-init", "--", "/entrypoint"]), (["/bin/sh", "-c"], ["/bin/sh", "-c"])],
)
def test_the_default_image_of_an_ecs_task_is_that_of_the_cluster(entrypoint, starts):
    """The entry point of the cluster's image does not wait for a database."""
    result = template(etl(entrypoint=entrypoint, command=["python", "etl.py"]))
    _, container = definition(result)
    images = {
        c["Image"]
        for each in resources(result, "AWS::ECS::TaskDefinition").values()
        for c in each["Properties"]["ContainerDefinitions"]
    }
    assert images == {container["Image"]}
    assert (container["EntryPoint"], container["Command"]) == (starts, ["python", "etl.py"])
    assert container["Environment"] == [{"Name": "CONNECTION_CHECK_MAX_COUNT", "Value": "0"}]


def test_the_default_processor_of_an_ecs_task_is_that_of_its_image():
    """The default processor of an ECS task is that of its image."""
    task, _ = definition(template(etl(), image=AirflowImage.official(architecture="arm64")))
    assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"


@pytest.mark.parametrize("spot", [False, True])
def test_only_an_ecs_task_on_spot_adds_capacity_providers(spot):
    """The ECS cluster has capacity providers only if an ECS task runs on Spot."""
    result = template(etl(spot=spot))
    found = resources(result, "AWS::ECS::ClusterCapacityProviderAssociations").values()
    assert [each["Properties"]["CapacityProviders"] for each in found] == (
        [["FARGATE", "FARGATE_SPOT"]] if spot else []
    )


def test_the_default_task_role_of_an_ecs_task_has_no_permissions():
    """The default task role has no permissions."""
    result = template(etl())
    task, _ = definition(result)
    role = task["TaskRoleArn"]["Fn::GetAtt"][0]
    assert role.startswith("AirflowTasksetlTaskRole")
    assert [statement for owner, statement in statements(result) if owner == role] == []


def test_grants_and_connections_of_an_ecs_task_apply_only_to_the_task():
    """Grants to an ECS task, and allowed connections, apply to no other component."""

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

    result = template(build)
    may = {role for role, statement in statements(result) if ":s3:::lake" in str(flat(statement["Resource"]))}
    assert [role[: len("AirflowTasksetlTaskRole")] for role in may] == ["AirflowTasksetlTaskRole"]
    rules = [
        each["Properties"]
        for each in resources(result, "AWS::EC2::SecurityGroupIngress").values()
        if each["Properties"]["GroupId"] == "sg-1"
    ]
    (rule,) = rules
    assert str(rule["SourceSecurityGroupId"]["Fn::GetAtt"][0]).startswith("AirflowTasksetlSecurityGroup")
    assert (rule["FromPort"], rule["ToPort"]) == (5432, 5432)


@pytest.mark.parametrize("imported", [False, True])
def test_an_existing_task_role_is_used_unchanged(imported):
    """An existing role is used and may be passed to ECS, but gets no permissions."""

    def build(stack, cluster):
        trust = iam.ServicePrincipal("ecs-tasks.amazonaws.com")
        role = iam.Role.from_role_arn(stack, "Mine", ROLE) if imported else iam.Role(stack, "Mine", assumed_by=trust)
        handle = cluster.add_ecs_task("etl", task_role=role)
        assert handle.task_role.node.path == role.node.path

    result = template(build)
    task, _ = definition(result)
    ((mine,),) = ([key for key in resources(result, "AWS::IAM::Role") if key.startswith("Mine")] or ["none"],)
    expected = ROLE if imported else f"<{mine}.Arn>"
    assert flat(task["TaskRoleArn"]) == expected
    assert not [key for key in resources(result, "AWS::IAM::Role") if key.startswith("AirflowTasksetlTaskRole")]
    assert [statement for owner, statement in statements(result) if owner == mine] == []
    passed = [
        flat(several(statement["Resource"]))
        for role, statement in statements(result)
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
def test_only_task_runners_may_start_an_ecs_task(name, line):
    """Task runners may pass only the two roles of the task."""
    executor, runs = EXECUTORS[name]
    build = etl(image=ecs.ContainerImage.from_registry(PYTHON))
    result = template(build, executor=executor, version=AirflowVersion.of(line))
    task, _ = definition(result)
    cluster, airflows = sorted(resources(result, "AWS::ECS::Cluster"), key=lambda key: "TaskCluster" not in key)
    (group,) = (key for key in resources(result, "AWS::Logs::LogGroup") if key.startswith("AirflowLogsContainers"))
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
        (["ecs:TagResource"], tasks, {"StringEquals": {"ecs:CreateAction": "RunTask"}}),
        (["iam:PassRole"], [flat(task["TaskRoleArn"]), flat(task["ExecutionRoleArn"])], to_tasks),
        (["ecs:ListTasks"], instances, None),
        (["logs:GetLogEvents"], streams, None),
    ]
    waits = [(["ecs:DescribeTasks"], tasks, None), (["logs:GetLogEvents"], streams, None)]
    found = {}
    for role, statement in statements(result):
        given = several(statement["Action"]), flat(several(statement["Resource"])), statement.get("Condition")
        if given in [*starts, *waits]:
            found.setdefault(role, []).append(given)
    # When the stack is deleted, the gate stops tasks in both ECS clusters; the ECS executor stops only its own tasks.
    watched = f"task/<{airflows}>/*"
    assert {role for role, statement in statements(result) if watched in str(flat(several(statement["Resource"])))} == {
        role
        for role, _ in statements(result)
        if role.startswith("AirflowGateHandlerRole")
        or (name == "ECS" and role.startswith("AirflowComponentsSchedulerTaskRole"))
    }
    assert sorted((role[: len(runs)], given) for role, given in found.items() if given != waits) == [(runs, starts)]
    assert [role[:27] for role, given in found.items() if given == waits] == ["AirflowComponentsTriggerer" + "T"]


def test_containers_that_read_dag_files_have_the_airflow_variable():
    """Operators read the variable when DAGs are parsed."""
    result = template(etl(image=ecs.ContainerImage.from_registry(PYTHON)))
    task, _ = definition(result)
    variables = {
        container["Name"]: flat(variable["Value"])
        for each in resources(result, "AWS::ECS::TaskDefinition").values()
        for container in each["Properties"]["ContainerDefinitions"]
        for variable in container.get("Environment", ())
        if variable["Name"] == "AIRFLOW_VAR_ECS_ETL"
    }
    assert {*variables} == {"dag-processor", "triggerer", "worker"}
    assert len({*variables.values()}) == 1
    arguments = json.loads(variables["worker"])
    services = resources(result, "AWS::ECS::Service").values()
    subnets = flat(next(iter(services))["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"])
    network = arguments["network_configuration"]["awsvpcConfiguration"]
    assert (arguments["task_definition"], network["subnets"]) == (task["Family"], subnets)
    (group,) = network["securityGroups"]
    assert group.startswith("<AirflowTasksetlSecurityGroup")
    assert (network["assignPublicIp"], arguments["launch_type"]) == ("DISABLED", "FARGATE")


def test_an_ecs_task_in_public_subnets_has_a_public_address():
    """In public subnets an ECS task needs a public address to pull its image."""
    result = template(etl(), task_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC))
    (variable,) = {
        flat(variable["Value"])
        for each in resources(result, "AWS::ECS::TaskDefinition").values()
        for container in each["Properties"]["ContainerDefinitions"]
        for variable in container.get("Environment", ())
        if variable["Name"] == "AIRFLOW_VAR_ECS_ETL"
    }
    assert json.loads(variable)["network_configuration"]["awsvpcConfiguration"]["assignPublicIp"] == "ENABLED"


def test_no_security_group_rule_refers_to_an_ecs_task():
    """Environment variables named like those of database clients have no effect on rules."""
    environment = {"METADATA_HOST": "db.example.com", "BROKER_HOST": "redis.example.com"}
    groups = Groups(template(etl(environment=environment)))
    assert "Tasks/etl" in groups.names.values()
    assert [rule for rule in groups.admitted() if "Tasks/etl" in rule[:2]] == []
    assert [rule for rule in groups.opened() if rule[0] == "Tasks/etl"] == [("Tasks/etl", "everywhere", None)]


@pytest.mark.parametrize("name", ["etl", "Executor", "executor", 3])
def test_an_ecs_task_with_an_invalid_name_changes_nothing(name):
    """An error leaves the cluster unchanged."""

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
def test_parliament_accepts_the_statements_for_ecs_tasks(line):
    """Parliament accepts the statements for ECS tasks."""
    executor = SeveralExecutors([LocalExecutor(), CeleryExecutor(), EcsExecutor()])
    result = template(etl(spot=True), executor=executor, version=AirflowVersion.of(line))
    policies = {
        f"{role} {number}": {"Version": "2012-10-17", "Statement": [deployed(result, statement)]}
        for number, (role, statement) in enumerate(statements(result))
    }
    impossible = {"Effect": "Allow", "Action": "ecs:ListTasks", "Resource": "arn:aws:ecs:*:*:task-definition/x:1"}
    policies["control"] = {"Version": "2012-10-17", "Statement": [impossible]}
    found = analyze(policies)
    assert found.pop("control")
    assert {policy: findings for policy, findings in found.items() if findings} == {}
