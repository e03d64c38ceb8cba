"""Task logs in CloudWatch, in the template."""

from __future__ import annotations

import json
import re

import pytest
from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_logs as logs

from cdk_airflow_ecs import AirflowVersion, CloudWatchLogs, EcsExecutor, LocalExecutor
from synthesis import add_cluster, env, flat, references, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")

GROUP = "AirflowLogsTaskGroup"
HERE = {"AWS::Partition": "aws", "AWS::Region": "eu-central-1", "AWS::AccountId": "123456789012"}
ARN = "arn:aws:logs:eu-central-1:123456789012:log-group"
CLUSTERS = {
    "3.3 Celery": {},
    "2.11 Celery": {"version": AirflowVersion.V2_11},
    "3.3 Local": {"executor": LocalExecutor()},
    "3.3 ECS": {"executor": EcsExecutor()},
}
WRITERS = {"Celery": "Poolsdefault", "Local": "ComponentsScheduler", "ECS": "Tasksexecutor"}


def own_group(template):
    """Return logical id and properties of the log group of Airflow tasks."""
    ((name, group),) = ((n, g) for n, g in resources(template, "AWS::Logs::LogGroup").items() if n.startswith(GROUP))
    return name, group


def allowed(template):
    """Return role, actions and resources of each permission of task roles on log groups."""
    return {
        (role["Ref"].removeprefix("Airflow").partition("TaskRole")[0], actions, _several(statement["Resource"]))
        for policy in resources(template, "AWS::IAM::Policy").values()
        for statement in flat(policy["Properties"]["PolicyDocument"]["Statement"], HERE)
        for role in policy["Properties"]["Roles"]
        for actions in [_several(statement["Action"])]
        if "TaskRole" in role["Ref"] and actions[0].startswith("logs:")
    }


def _several(value):
    return tuple(value) if isinstance(value, list) else (value,)


@pytest.mark.parametrize("name", CLUSTERS)
def test_no_role_may_create_log_groups(name):
    """The web component may only read task logs, and task runners may only write them."""
    template = template_of(logs=CloudWatchLogs(), enable_exec=False, **CLUSTERS[name])
    group, _ = own_group(template)
    streams = (f"{ARN}:<{group}>:log-stream:*",)
    web = "ComponentsApiServer" if name.startswith("3") else "ComponentsWebserver"
    writers = ("ComponentsTriggerer", WRITERS[name.split()[1]])
    assert allowed(template) == {
        (web, ("logs:GetLogEvents",), streams),
        *((writer, ("logs:CreateLogStream", "logs:PutLogEvents"), streams) for writer in writers),
        *((writer, ("logs:DescribeLogGroups",), (f"{ARN}:*",)) for writer in writers),
    }


def test_the_log_group_is_encrypted_and_retained():
    """The log group of task logs has no fixed name; logs expire."""
    _, group = own_group(template_of(logs=CloudWatchLogs()))
    assert group["Properties"].keys() == {"KmsKeyId", "RetentionInDays"}
    assert group["Properties"]["RetentionInDays"] == 90
    assert any(name.startswith("AirflowSecretsKey") for name in references(group["Properties"]["KmsKeyId"]))
    assert (group["DeletionPolicy"], group["UpdateReplacePolicy"]) == ("Retain", "Retain")
    _, forever = own_group(template_of(logs=CloudWatchLogs(retention_days=None)))
    assert "RetentionInDays" not in forever["Properties"]
    _, passing = own_group(template_of(logs=CloudWatchLogs(), removal_policy=RemovalPolicy.DESTROY))
    assert passing["DeletionPolicy"] == "Delete"


def test_airflow_gets_the_log_group_by_its_arn_without_a_wildcard():
    """Airflow reads the group's name from the ARN's seventh part."""
    template = template_of(logs=CloudWatchLogs())
    group, _ = own_group(template)
    found = {
        variable["Value"]
        for definition in flat([*resources(template, "AWS::ECS::TaskDefinition").values()], HERE)
        for container in definition["Properties"]["ContainerDefinitions"]
        for variable in container["Environment"]
        if variable["Name"] == "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"
    }
    assert found == {f"cloudwatch://{ARN}:<{group}>"}


def test_switching_the_log_store_changes_no_resource_type():
    """CloudFormation would reject a template in which a logical id has another resource type."""
    bucket, group = template_of()["Resources"], template_of(logs=CloudWatchLogs())["Resources"]
    assert [name for name in bucket.keys() & group.keys() if bucket[name]["Type"] != group[name]["Type"]] == []
    assert {re.sub("[0-9A-F]{8}$", "", name) for name in group.keys() - bucket.keys()} == {GROUP}
    assert (
        own_group(template_of(logs=CloudWatchLogs()))[0]
        == own_group(template_of(logs=CloudWatchLogs(retention_days=None), executor=EcsExecutor()))[0]
    )


def test_an_existing_log_group_is_used_in_its_region():
    """An existing log group is used in its region."""

    def given(stack):
        arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/data/airflow:*"
        return CloudWatchLogs(log_group=logs.LogGroup.from_log_group_arn(stack, "Given", arn))

    def build(app):
        add_cluster(Stack(app, "Data", env=env()), logs=given, enable_exec=False)

    template = synthesize(build).templates["Data"]
    assert [name for name in resources(template, "AWS::Logs::LogGroup") if name.startswith(GROUP)] == []
    there = "arn:aws:logs:eu-west-1:123456789012:log-group"
    text = json.dumps(flat(template, HERE))
    assert f'"cloudwatch://{there}:/data/airflow"' in text
    resources_of_roles = {resource for _, _, (resource,) in allowed(template)}
    assert resources_of_roles == {f"{there}:/data/airflow:log-stream:*", f"{there}:*"}


@pytest.mark.parametrize("name", CLUSTERS)
def test_all_cdk_nag_findings_are_acknowledged(name):
    """All cdk-nag findings of CloudWatchLogs are acknowledged, and no acknowledgement is unused."""
    assembly = synthesize(
        lambda app: add_cluster(Stack(app, "Data"), logs=CloudWatchLogs(), **CLUSTERS[name]), nag=True
    )
    used = {(found["acknowledgedAt"], found["acknowledgedId"]) for found in assembly.nag["suppressedViolations"]}
    assert (assembly.nag["violations"], assembly.acknowledgements) == ([], used)
