"""The output of containers in the template."""

from __future__ import annotations

import re

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager

from cdk_airflow_ecs import AwsLogs, FireLens, Permission
from synthesis import add_cluster, flat, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")

DELIVERY = "arn:aws:firehose:eu-central-1:123456789012:deliverystream/airflow"


@pytest.fixture(scope="module")
def template():
    """A cluster whose services log through Fluent Bit, with an ECS task of the user's own."""

    def build(app: App) -> None:
        stack = Stack(app, "Data")
        key = secretsmanager.Secret(stack, "ApiKey")
        router = FireLens(
            options={"Name": "datadog", "TLS": "on", "apikey": ecs.Secret.from_secrets_manager(key)},
            permissions=[Permission(actions=("firehose:PutRecordBatch",), resources=(DELIVERY,))],
        )
        add_cluster(stack, log_router=router).add_ecs_task("etl")

    return synthesize(build).templates["Data"]


def tasks(template):
    """Containers by name, of each task definition, by the name of the first that is ours."""
    found = {}
    for definition in resources(template, "AWS::ECS::TaskDefinition").values():
        containers = {c["Name"]: c for c in definition["Properties"]["ContainerDefinitions"]}
        found[next(name for name in containers if name != "log-router")] = containers
    return found


def test_services_log_through_the_router(template):
    """Each container of a service writes to the router beside it, whose own output is in CloudWatch Logs."""
    for name, containers in tasks(template).items():
        if name in ("migrate", "etl"):
            continue
        router = containers.pop("log-router")
        assert router["FirelensConfiguration"]["Type"] == "fluentbit"
        assert router["Essential"] is True
        # A tag of a release, which AWS never moves.
        assert re.fullmatch(r"public\.ecr\.aws/aws-observability/aws-for-fluent-bit:3\.\d+\.\d+", router["Image"])
        assert router["LogConfiguration"]["LogDriver"] == "awslogs"
        for container in containers.values():
            log = container["LogConfiguration"]
            assert (log["LogDriver"], log["Options"]) == ("awsfirelens", {"Name": "datadog", "TLS": "on"})
            (secret,) = log["SecretOptions"]
            assert (secret["Name"], flat(secret["ValueFrom"])) == ("apikey", "<ApiKeyF9DDEE66>")


def test_what_others_read_stays_where_they_read_it(template):
    """The gate reads the migration's last lines, and the operator those of its task, from CloudWatch Logs."""
    for name in ("migrate", "etl"):
        (container,) = tasks(template)[name].values()
        assert container["LogConfiguration"]["LogDriver"] == "awslogs"


def test_every_routed_role_may_write_and_no_other(template):
    """Task roles of services get the plugin's permission; those of the migration and of ECS tasks do not."""
    holders = {
        role["Ref"]
        for policy in resources(template, "AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Action"] == "firehose:PutRecordBatch"
        for role in policy["Properties"]["Roles"]
    }
    routed = {
        definition["Properties"]["TaskRoleArn"]["Fn::GetAtt"][0]
        for definition in resources(template, "AWS::ECS::TaskDefinition").values()
        if len(definition["Properties"]["ContainerDefinitions"]) > 1
    }
    assert holders == routed
    assert len(routed) == 5


def test_execution_roles_of_routed_services_read_the_secret(template):
    """The router's secret is read by those who start it."""
    readers = {
        role["Ref"]
        for policy in resources(template, "AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Resource"] == {"Ref": "ApiKeyF9DDEE66"}
        for role in policy["Properties"]["Roles"]
    }
    assert len(readers) == 5
    assert all("ExecutionRole" in reader for reader in readers)


def test_a_router_and_a_task_in_ecr():
    """Images of the user's own in ECR are pulled as the cluster's are, and cdk-nag has nothing to say of its login."""

    def build(app: App) -> None:
        stack = Stack(app, "Data")
        repository = ecr.Repository.from_repository_name(stack, "Repository", "tools")
        image = ecs.ContainerImage.from_ecr_repository(repository, "1")
        add_cluster(stack, log_router=FireLens(options={"Name": "s3"}, image=image)).add_ecs_task("etl", image=image)

    assembly = synthesize(build, nag=True)
    assert assembly.nag["violations"] == []
    pulls = [
        statement
        for policy in resources(assembly.templates["Data"], "AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Action"] == "ecr:GetAuthorizationToken"
    ]
    assert len(pulls) == 6


@pytest.mark.parametrize(("router", "days"), [(AwsLogs(retention_days=365), 365), (AwsLogs(retention_days=None), None)])
def test_how_long_the_group_keeps_it(router, days):
    """The cluster's log group keeps what the user said, and is the same group whatever that is."""
    group = resources(template_of(log_router=router), "AWS::Logs::LogGroup")["AirflowLogsContainers22919C12"]
    assert group["Properties"].get("RetentionInDays") == days
