"""security.md: permissions of roles, resources that the key encrypts, and the wildcard findings."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pages import page, table

from cdk_airflow_ecs import (
    AirflowVersion,
    CeleryExecutor,
    CloudWatchLogs,
    DatabaseCleanup,
    EcsExecutor,
    LocalExecutor,
    QueueScaling,
    SqsBroker,
    WorkerPool,
)
from cdk_airflow_ecs.commands.airflow_task import DATABASE, AirflowTask
from cdk_airflow_ecs.nag import WILDCARDS_SINCE
from cdk_airflow_ecs.testing import plan_of
from synthesis import EXAMPLES, Template, example, references, resources, template_of

pytestmark = pytest.mark.xdist_group("examples")

READ, WRITE = {"s3:GetObject", "s3:ListBucket"}, {"s3:PutObject"}
RESULTS = {"dynamodb:GetItem", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive"}
SQS = CeleryExecutor(broker=SqsBroker())
# For each row of security.md: arguments of clusters, a component, and the component's actions in the plan.
PLANNED: dict[str, list[tuple[dict[str, Any], str, set[str]]]] = {
    "web component": [({}, "ApiServer", READ), ({"version": AirflowVersion.V2_11}, "Webserver", READ)],
    "scheduler with Celery": [({}, "Scheduler", set())],
    "scheduler with `SqsBroker()`": [
        ({"executor": SQS}, "Scheduler", {"sqs:SendMessage", "sqs:GetQueueAttributes", *RESULTS})
    ],
    "worker with `SqsBroker()`": [
        (
            {"executor": SQS},
            "Pools/default",
            {
                *READ,
                *WRITE,
                *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"),
                *(*RESULTS, "dynamodb:PutItem"),
            },
        )
    ],
    "worker with `scaling=QueueScaling(…)`": [
        (
            {"executor": CeleryExecutor(pools=[WorkerPool("default", scaling=QueueScaling())])},
            "Pools/default",
            {
                *(*READ, *WRITE, "ecs:GetTaskProtection", "ecs:UpdateTaskProtection"),
                *("ecs:DescribeServices", "ecs:ListServices"),
            },
        )
    ],
    "DAG processor": [({}, "DagProcessor", READ)],
    "triggerer": [({}, "Triggerer", READ | WRITE)],
    "scheduler with the ECS executor": [
        (
            {"executor": EcsExecutor()},
            "Scheduler",
            {"ecs:RunTask", "ecs:TagResource", "ecs:DescribeTasks", "ecs:StopTask", "iam:PassRole"},
        )
    ],
    "worker, task of the ECS executor, scheduler with LocalExecutor": [
        ({}, "Pools/default", READ | WRITE),
        ({"executor": EcsExecutor()}, "Tasks/executor", READ | WRITE),
        ({"executor": LocalExecutor()}, "Scheduler", READ | WRITE),
    ],
    "migration task": [({}, "Migration", set())],
    "task of `add_airflow_task`": [
        ({"airflow_tasks": (AirflowTask(name="etl", command=["airflow", "info"]),)}, "AirflowTasks/etl", READ),
        (
            {"airflow_tasks": (AirflowTask(name="etl", command=["airflow", "info"], needs=DATABASE),)},
            "AirflowTasks/etl",
            set(),
        ),
    ],
    "`DatabaseCleanup`": [({"maintenance_tasks": [DatabaseCleanup()]}, "AirflowTasks/database-cleanup", set())],
}
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
EXEC = {f"ssmmessages:{verb}{which}Channel" for verb in ("Create", "Open") for which in ("Control", "Data")}
# For each row of security.md: an example, the prefix of a role's logical id, and all actions of that role.
RENDERED: dict[str, tuple[str, str, set[str]]] = {
    "[ECS task](../guides/tasks/ecs-operator.md)": ("ecs-operator", "AirflowTasksnightlyreportTaskRole", set()),
    "PostgreSQL in a container": (
        "celery-redis-container",
        "AirflowDatabaseTaskRole",
        {"elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite", "logs:DescribeLogGroups"}
        | {"logs:DescribeLogStreams", *EXEC, *LOG},
    ),
    "any of these with ECS Exec": (
        "celery-redis-container",
        "AirflowComponentsSchedulerTaskRole",
        {"logs:DescribeLogGroups", "logs:DescribeLogStreams", *EXEC, *LOG},
    ),
    "execution roles": (
        "quickstart",
        "AirflowComponentsSchedulerExecutionRole",
        {"kms:Decrypt", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", *LOG},
    ),
    "the gate's function": (
        "quickstart",
        "AirflowGateHandlerRole",
        {"ecs:RunTask", "ecs:TagResource", "ecs:ListTasks", "ecs:DescribeTasks", "ecs:StopTask", "iam:PassRole"}
        | {*LOG, "logs:GetLogEvents", "lambda:InvokeFunction", "sqs:SendMessage", "kms:Decrypt", "kms:GenerateDataKey"}
        | {"rds:CreateDBSnapshot", "rds:DescribeDBSnapshots", "rds:DeleteDBSnapshot", "rds:AddTagsToResource"},
    ),
    "the schedule of a task": (
        "production",
        "AirflowAirflowTasksdatabasecleanupScheduleRole",
        {"ecs:RunTask", "ecs:TagResource", "iam:PassRole", "sqs:SendMessage", "kms:Decrypt", "kms:GenerateDataKey"},
    ),
    "instances of `ManagedInstances`": (
        "gpu-pool",
        "AirflowCapacitygpuInstanceRole",
        {"ecs:DiscoverPollEndpoint", "ecs:Poll", "ecs:RegisterContainerInstance", "ecs:StartTelemetrySession"}
        | {"ecs:PutSystemLogEvents", "ecs:SubmitAttachmentStateChanges", "ecs:SubmitTaskStateChange"},
    ),
    "ECS, for `ManagedInstances`": ("gpu-pool", "AirflowCapacitygpuInfrastructureRole", {"iam:PassRole"}),
    "RDS": (
        "quickstart",
        "AirflowDatabaseMonitoringRole",
        {"logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:DescribeLogStreams", "logs:GetLogEvents", *LOG},
    ),
    "the VPC's flow log": ("quickstart", "AirflowVpcFlowLogRole", {"logs:DescribeLogStreams", *LOG}),
    'CDK\'s function that uploads DAGs, with `S3Dags("folder/")`': (
        "production",
        "AirflowDagsUploadRole",
        {"s3:GetObject*", "s3:GetBucket*", "s3:List*", "s3:DeleteObject*", "s3:Abort*", *LOG}
        | {f"s3:PutObject{what}" for what in ("", "LegalHold", "Retention", "Tagging", "VersionTagging")},
    ),
    "CDK's function that closes the default security group of the cluster's VPC": (
        "quickstart",
        "CustomVpcRestrictDefaultSGCustomResourceProviderRole",
        {f"ec2:{verb}SecurityGroup{way}" for verb in ("Authorize", "Revoke") for way in ("Ingress", "Egress")},
    ),
    "CDK's function that empties buckets, with `RemovalPolicy.DESTROY`": (
        "celery-redis-container",
        "CustomS3AutoDeleteObjectsCustomResourceProviderRole",
        set(),
    ),
}


def rows() -> dict[str, str]:
    """Return the permissions of each role on the page."""
    return dict(table(page("concepts/security.md"), "## Permissions")[1:])


def actions(template: Template, prefix: str) -> set[str]:
    """Return all actions of the only role whose logical id has that prefix."""
    (role,) = (name for name in resources(template, "AWS::IAM::Role") if name.startswith(prefix))
    documents = [each["PolicyDocument"] for each in template["Resources"][role]["Properties"].get("Policies", ())]
    for policy in resources(template, "AWS::IAM::Policy").values():
        if {"Ref": role} in policy["Properties"]["Roles"]:
            documents.append(policy["Properties"]["PolicyDocument"])
    given = [statement["Action"] for document in documents for statement in document["Statement"]]
    return {action for each in given for action in ([each] if isinstance(each, str) else each)}


def test_every_row_about_permissions_on_the_security_page_has_a_check():
    """Each row about permissions has a check, and each check has a row."""
    assert list(rows()) == [*PLANNED, *RENDERED]


@pytest.mark.parametrize("row", PLANNED)
def test_components_have_the_documented_permissions_in_the_plan(row: str):
    """In the plan, each component has exactly the permissions on security.md."""
    for arguments, component, expected in PLANNED[row]:
        plan = plan_of(**{"version": AirflowVersion.V3_3, **arguments})
        assert {action for each in plan.component(component).permissions for action in each.actions} == expected


@pytest.mark.parametrize("row", RENDERED)
def test_roles_have_the_documented_permissions_in_the_template(row: str):
    """In the template, each role has exactly the permissions on security.md."""
    name, prefix, expected = RENDERED[row]
    (template,) = example(name).templates.values()
    assert actions(template, prefix) == expected
    for wild in (action for action in expected if "*" in action):
        assert f"`{wild}`" in rows()[row]


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_iam_role_of_the_examples_is_on_the_security_page(name: str):
    """Managed policies of roles are on the page as well."""
    known = r"\w+(TaskRole|ExecutionRole)|" + "|".join(prefix for _, prefix, _ in RENDERED.values())
    for template in example(name).templates.values():
        for role, resource in resources(template, "AWS::IAM::Role").items():
            yours = not role.startswith(("Airflow", "Custom"))
            assert yours or re.match(f"({known})[0-9A-F]{{8}}$", role), role
            for policy in resource["Properties"].get("ManagedPolicyArns", ()):
                (managed,) = re.findall("policy/(?:service-role/)?(\\w+)", json.dumps(policy))
                (row,) = [row for row, (_, prefix, _) in RENDERED.items() if role.startswith(prefix)]
                assert f"`{managed}`" in rows()[row]


def test_the_kms_key_encrypts_the_resources_in_the_section_at_rest():
    """The KMS key of the cluster encrypts these resources, but no bucket."""
    for arguments, stores in (
        ({}, {"AWS::RDS::DBInstance", "AWS::ElastiCache::ReplicationGroup"}),
        ({"executor": SQS, "logs": CloudWatchLogs()}, {"AWS::RDS::DBInstance", "AWS::DynamoDB::Table"}),
    ):
        template = template_of(**arguments)
        (key,) = resources(template, "AWS::KMS::Key")
        assert template["Resources"][key]["Properties"]["EnableKeyRotation"] is True
        using = {
            name: resource["Type"]
            for name, resource in template["Resources"].items()
            if resource["Type"] not in ("AWS::IAM::Policy", "AWS::IAM::Role", "AWS::KMS::Key")
            and key in references(resource)
        }
        assert set(using.values()) == {
            *("AWS::SecretsManager::Secret", "AWS::Logs::LogGroup", "AWS::SQS::Queue", "AWS::Lambda::Function"),
            *stores,
        }
        for kind in set(using.values()):
            # CDK's function that closes the default security group has no variables to encrypt.
            every = {name for name in resources(template, kind) if not name.startswith("CustomVpcRestrictDefaultSG")}
            assert {name for name, found in using.items() if found == kind} == every


def test_the_security_page_has_the_cdk_release_that_acknowledges_wildcards():
    """The page and the constant WILDCARDS_SINCE have the same CDK release."""
    assert f"CDK before {'.'.join(map(str, WILDCARDS_SINCE))} cannot acknowledge" in page("concepts/security.md")
