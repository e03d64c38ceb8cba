"""Log routers in the template."""

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
    """Return the template of a cluster with FireLens and an ECS task."""

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
    """Return the containers of each task definition, by the name of the main container."""
    found = {}
    for definition in resources(template, "AWS::ECS::TaskDefinition").values():
        containers = {c["Name"]: c for c in definition["Properties"]["ContainerDefinitions"]}
        found[next(name for name in containers if name != "log-router")] = containers
    return found


def test_services_log_through_the_log_router(template):
    """The log of the log router itself is in CloudWatch."""
    for name, containers in tasks(template).items():
        if name in ("migrate", "etl"):
            continue
        router = containers.pop("log-router")
        assert router["FirelensConfiguration"]["Type"] == "fluentbit"
        assert router["Essential"] is True
        # AWS never moves the tag of a patch release.
        assert re.fullmatch(r"public\.ecr\.aws/aws-observability/aws-for-fluent-bit:3\.\d+\.\d+", router["Image"])
        assert router["LogConfiguration"]["LogDriver"] == "awslogs"
        for container in containers.values():
            log = container["LogConfiguration"]
            assert (log["LogDriver"], log["Options"]) == ("awsfirelens", {"Name": "datadog", "TLS": "on"})
            (secret,) = log["SecretOptions"]
            assert (secret["Name"], flat(secret["ValueFrom"])) == ("apikey", "<ApiKeyF9DDEE66>")


def test_the_migration_and_ecs_tasks_log_to_cloudwatch(template):
    """The migration gate and EcsRunTaskOperator read these logs."""
    for name in ("migrate", "etl"):
        (container,) = tasks(template)[name].values()
        assert container["LogConfiguration"]["LogDriver"] == "awslogs"


def test_only_services_with_a_log_router_have_its_permission(template):
    """Other task roles do not have the log router's permission."""
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


def test_only_services_with_a_log_router_may_read_its_secret(template):
    """Other execution roles may not read the log router's secret."""
    readers = {
        role["Ref"]
        for policy in resources(template, "AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Resource"] == {"Ref": "ApiKeyF9DDEE66"}
        for role in policy["Properties"]["Roles"]
    }
    assert len(readers) == 5
    assert all("ExecutionRole" in reader for reader in readers)


def test_images_of_log_router_and_ecs_task_may_be_in_ecr():
    """Execution roles may pull both images from ECR."""

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
def test_retention_days_applies_to_the_log_group_of_containers(router, days):
    """The log group's logical id does not change."""
    group = resources(template_of(log_router=router), "AWS::Logs::LogGroup")["AirflowLogsContainers22919C12"]
    assert group["Properties"].get("RetentionInDays") == days
