"""Every statement of roles and resources, in every example and in clusters beyond: valid, and never too much."""

from __future__ import annotations

import fnmatch
import functools
import json
import re

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager
from test_security import ARNS, PSEUDO, analyze, deployed, several, statements

from cdk_airflow_ecs import CloudWatchLogs, FireLens, Permission
from synthesis import EXAMPLES, add_cluster, example, resources, synthesize, tool

pytestmark = pytest.mark.xdist_group("examples")

DELIVERY = "arn:aws:firehose:eu-central-1:123456789012:deliverystream/airflow"
# No component needs any of these, whatever its backends: it would make, list or empty what it was only given to use.
FORBIDDEN = {
    "ecs:CreateCluster",
    "ecs:DeregisterTaskDefinition",
    "ecs:ExecuteCommand",
    "ecs:RegisterTaskDefinition",
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:PutRolePolicy",
    "logs:CreateLogGroup",
    "logs:DeleteLogGroup",
    "secretsmanager:ListSecrets",
    "secretsmanager:PutSecretValue",
    "sqs:CreateQueue",
    "sqs:DeleteQueue",
    "sqs:ListQueues",
    "sqs:PurgeQueue",
    "sts:AssumeRole",
}
# RDS itself writes its metrics to a group of its own, by a role that it alone may take on.
RDS = ("DatabaseMonitoringRole", "logs:CreateLogGroup", "log-group:RDS")
# What has no resource to name: ECS Exec and the login to ECR.
EVERYWHERE = {
    "ecr:GetAuthorizationToken",
    "logs:DescribeLogGroups",
    *(f"ssmmessages:{verb}{which}Channel" for verb in ("Create", "Open") for which in ("Control", "Data")),
}
# Where parliament wants another resource, and the role in which it may: "log-group:*" is what AWS documents for the
# first; the others are in statements of CDK's, for its own function and for the parameter that the example gives.
EXCUSED = {
    "logs:DescribeLogGroups": "TaskRole",
    "s3:List*": "DagsUploadRole",
    "ssm:DescribeParameters": "ExecutionRole",
}
# Where the statements of roles stand, and those of all other policies: the type and the property.
ROLES = {("AWS::IAM::Policy", "PolicyDocument"), ("AWS::IAM::Role", "Policies")}
TRUST, BUCKET, KEY = "AWS::IAM::Role", "AWS::S3::BucketPolicy", "AWS::KMS::Key"
OTHERS = {
    (TRUST, "AssumeRolePolicyDocument"),
    (BUCKET, "PolicyDocument"),
    (KEY, "KeyPolicy"),
    ("AWS::SQS::QueuePolicy", "PolicyDocument"),
    ("AWS::EFS::FileSystem", "FileSystemPolicy"),
}
TYPES = {kind for kind, _ in OTHERS}
ACCOUNT, SOURCE = "arn:aws:iam::123456789012:root", "aws:SourceAccount"
# Whom the policies of resources let do what, and by which condition.
GRANTED = {
    (TRUST, "ecs-tasks.amazonaws.com", "sts:AssumeRole", f"{SOURCE} aws:SourceArn"),
    (TRUST, "monitoring.rds.amazonaws.com", "sts:AssumeRole", SOURCE),
    (TRUST, "vpc-flow-logs.amazonaws.com", "sts:AssumeRole", SOURCE),
    (TRUST, "vpc-flow-logs.amazonaws.com", "sts:AssumeRole", ""),  # CDK's, in the example with a VPC of its own
    (TRUST, "lambda.amazonaws.com", "sts:AssumeRole", ""),  # Lambda says no source
    (BUCKET, "logging.s3.amazonaws.com", "s3:PutObject", SOURCE),
    (BUCKET, "logdelivery.elasticloadbalancing.amazonaws.com", "s3:PutObject", ""),  # its path holds the account
    # CDK's function that empties buckets for development.
    (BUCKET, ARNS[TRUST], "s3:DeleteObject* s3:GetBucket* s3:List* s3:PutBucketPolicy", ""),
    (KEY, ACCOUNT, "kms:*", ""),  # who may use it is then said by the policies of roles
    (
        *(KEY, "logs.eu-central-1.amazonaws.com"),
        "kms:Decrypt* kms:Describe* kms:Encrypt* kms:GenerateDataKey* kms:ReEncrypt*",
        "kms:EncryptionContext:aws:logs:arn",
    ),
}
# What parliament says of actions with "*", which are also about what the resource is not; it does not know the context
# of a key either.
SAID = {"RESOURCE_MISMATCH", "UNKNOWN_CONDITION_FOR_ACTION", "MISMATCHED_TYPE", "RESOURCE_POLICY_PRIVILEGE_ESCALATION"}
# CDK's own function that uploads DAGs may do what starts like these, to CDK's bucket and to the bucket of DAGs.
UPLOAD = {"s3:GetObject*", "s3:GetBucket*", "s3:List*", "s3:DeleteObject*", "s3:Abort*"}


def routed(app: App) -> None:
    """A cluster whose services log through Fluent Bit."""
    stack = Stack(app, "Routed")
    key = secretsmanager.Secret(stack, "ApiKey")
    router = FireLens(
        options={"Name": "datadog", "apikey": ecs.Secret.from_secrets_manager(key)},
        permissions=[Permission(actions=("firehose:PutRecordBatch",), resources=(DELIVERY,))],
    )
    add_cluster(stack, log_router=router, enable_exec=True)


CLUSTERS = {
    "CloudWatchLogs": lambda app: add_cluster(Stack(app, "Streams"), logs=CloudWatchLogs()),
    "FireLens": routed,
}
everything = pytest.mark.parametrize("name", [*EXAMPLES, *CLUSTERS])


@functools.cache
def templates(name):
    """The templates of an example or a cluster."""
    return (synthesize(CLUSTERS[name]) if name in CLUSTERS else example(name)).templates


def imported(node, name):
    """Part of a template of *name* with what other stacks give it, and names of CDK's assets, as IAM gets them."""
    if isinstance(node, list):
        return [imported(part, name) for part in node]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Fn::ImportValue"}:
        (given,) = (
            deployed(template, output["Value"])
            for template in templates(name).values()
            for output in template["Outputs"].values()
            if output.get("Export", {}).get("Name") == node["Fn::ImportValue"]
        )
        return given
    if node.keys() == {"Fn::Sub"}:
        return re.sub(r"\$\{(.+?)\}", lambda match: PSEUDO[match[1]], node["Fn::Sub"])
    return {key: imported(value, name) for key, value in node.items()}


@functools.cache
def allowed(name):
    """Every role and statement of an example or a cluster, as in the template and as IAM gets it."""
    return [
        (role, statement, deployed(template, imported(statement, name)))
        for template in templates(name).values()
        for role, statement in statements(template)
    ]


def nested(node):
    """Every statement inside *node*."""
    if isinstance(node, list):
        for part in node:
            yield from nested(part)
    elif isinstance(node, dict):
        yield from several(node.get("Statement", []))
        for part in node.values():
            yield from nested(part)


@functools.cache
def granted(name):
    """Every statement of a resource's own policy as IAM gets it, with the type and the property that it stands in."""
    return [
        (resource["Type"], place, deployed(template, imported(statement, name)))
        for template in templates(name).values()
        for resource in template["Resources"].values()
        for place, value in resource.get("Properties", {}).items()
        if (resource["Type"], place) not in ROLES
        for statement in nested(value)
    ]


def uploaded(name):
    """Whether deploying uploads DAGs."""
    return any(resources(template, "Custom::CDKBucketDeployment") for template in templates(name).values())


def judged(kind, statement):
    """A statement of a resource's own policy as parliament takes it: with what it is on, and whole numbers as text."""
    named = {"Resource": ARNS[kind]} if statement.get("Resource", "*") == "*" else {}
    conditions = {
        operator: {key: str(int(value)) if isinstance(value, float) else value for key, value in given.items()}
        for operator, given in statement.get("Condition", {}).items()
    }
    return {**statement, **named, "Condition": conditions}


@functools.cache
def findings():
    """What parliament finds in which statement: (name, type or role, statement, findings); each judged once."""
    names = (*EXAMPLES, *CLUSTERS)
    every = [(name, role, each, each) for name in names for role, _, each in allowed(name)]
    every += [(name, kind, each, judged(kind, each)) for name in names for kind, _, each in granted(name)]
    impossible = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket"}
    distinct = {json.dumps(each): each for each in (*(taken for *_, taken in every), impossible)}
    found = analyze({key: {"Version": "2012-10-17", "Statement": [each]} for key, each in distinct.items()})
    assert found[json.dumps(impossible)]
    return [(name, whose, each, found[json.dumps(taken)]) for name, whose, each, taken in every]


@tool("parliament", "parliament")
@everything
def test_parliament(name):
    """AWS knows each action, resource and condition of each statement, and they go together (so parliament says)."""
    excused = set()
    for role, statement, each in (found[1:] for found in findings() if found[0] == name):
        if not each or role in TYPES:
            continue
        assert [finding.partition(" ")[0] for finding in each] == ["RESOURCE_MISMATCH"], (role, statement, each)
        why = {*several(statement["Action"])} & EXCUSED.keys()
        assert why, (role, statement, each)
        assert all(EXCUSED[action] in role for action in why), role
        excused |= why
    given = {"CloudWatchLogs": {"logs:DescribeLogGroups"}, "ecs-operator": {"ssm:DescribeParameters"}}
    assert excused == given.get(name, set()) | ({"s3:List*"} if uploaded(name) else set())


@tool("parliament", "parliament")
@everything
def test_parliament_of_resources(name):
    """The same of the policies of resources, and of who may take on a role."""
    for kind, statement, each in (found[1:] for found in findings() if found[0] == name):
        if each and kind in TYPES:
            assert "*" in str(statement["Action"]), (kind, statement, each)
            assert {finding.partition(" ")[0] for finding in each} <= SAID, (kind, statement, each)


def test_what_the_policies_of_resources_grant():
    """They let nobody in but this account and services of AWS, each for what it needs; there are no others."""
    every = [each for name in (*EXAMPLES, *CLUSTERS) for each in granted(name)]
    assert {(kind, place) for kind, place, _ in every} == OTHERS
    found = set()
    for kind, _, statement in every:
        assert not {"NotAction", "NotPrincipal", "NotResource"} & statement.keys(), statement
        if statement["Effect"] != "Deny":
            ((who,),) = (several(given) for given in statement["Principal"].values())
            conditions = sorted(key for given in statement.get("Condition", {}).values() for key in given)
            found.add((kind, who, " ".join(sorted(several(statement["Action"]))), " ".join(conditions)))
    assert found == GRANTED


@everything
def test_what_no_role_may_do(name):
    """No role may make, list or empty what it was only given to use, take on another role, or pass one at will."""
    assert allowed(name)
    for role, statement, _ in allowed(name):
        assert "NotAction" not in statement
        assert "NotResource" not in statement
        actions = several(statement["Action"])
        found = [each for each in FORBIDDEN if any(fnmatch.fnmatch(each, action) for action in actions)]
        if RDS[0] in role and all(RDS[2] in str(resource) for resource in several(statement["Resource"])):
            assert {*found} <= {RDS[1]}
        else:
            assert found == [], role
        if "iam:PassRole" in actions:
            assert "*" not in several(statement["Resource"]), role
            assert list(statement["Condition"]["StringEquals"]) == ["iam:PassedToService"], role


@everything
def test_components_write_their_own_log_streams(name):
    """The execution role of a task definition may write the streams that its containers are configured with."""
    found = {}
    for role, _, statement in allowed(name):
        if "ExecutionRole" in role and "logs:PutLogEvents" in several(statement["Action"]):
            found.setdefault(role, []).extend(several(statement["Resource"]))
    expected = {}
    for template in templates(name).values():
        for definition in resources(template, "AWS::ECS::TaskDefinition").values():
            logs = [each["LogConfiguration"] for each in definition["Properties"]["ContainerDefinitions"]]
            ((region, group, prefix),) = {
                tuple(
                    deployed(template, imported(log["Options"][f"awslogs-{option}"], name))
                    for option in ("region", "group", "stream-prefix")
                )
                for log in logs
                if log["LogDriver"] == "awslogs"
            }
            role = definition["Properties"]["ExecutionRoleArn"]["Fn::GetAtt"][0]
            expected[role] = [f"arn:aws:logs:{region}:123456789012:log-group:{group}:log-stream:{prefix}/*"]
    assert found == expected


@everything
def test_actions_and_resources_are_named(name):
    """Roles may do what is named to what is named; the function of CDK's that uploads DAGs is the only exception."""
    for role, statement, _ in allowed(name):
        actions, named = {*several(statement["Action"])}, several(statement["Resource"])
        if "*" in named:
            assert actions <= EVERYWHERE, role
        wild = {action for action in actions if "*" in action}
        assert wild <= (UPLOAD if "DagsUploadRole" in role else set()), role


@everything
def test_policies_are_written_out(name):
    """No role has somebody else's policy, but that of CDK's function that empties buckets for development."""
    for template in templates(name).values():
        assert resources(template, "AWS::IAM::ManagedPolicy", "AWS::IAM::User", "AWS::IAM::Group") == {}
        for role, resource in resources(template, "AWS::IAM::Role").items():
            if "ManagedPolicyArns" in resource["Properties"]:
                assert role.startswith("CustomS3AutoDeleteObjects"), role
