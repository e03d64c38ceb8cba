"""Every statement of every role, in every example and in clusters that no example shows: valid, and never too much."""

from __future__ import annotations

import fnmatch
import functools
import re

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager
from test_security import PSEUDO, analyze, deployed, several, statements

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


def uploaded(name):
    """Whether deploying uploads DAGs."""
    return any(resources(template, "Custom::CDKBucketDeployment") for template in templates(name).values())


@functools.cache
def findings():
    """What parliament finds in which statement, of all there are, in one run."""
    policies, meant = {}, {}
    for name in (*EXAMPLES, *CLUSTERS):
        for number, (role, _, statement) in enumerate(allowed(name)):
            key = f"{name} {number} {role}"
            policies[key], meant[key] = {"Version": "2012-10-17", "Statement": [statement]}, (name, role, statement)
    impossible = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket"}
    policies["control"] = {"Version": "2012-10-17", "Statement": [impossible]}
    found = analyze(policies)
    assert found.pop("control")
    assert found.keys() == meant.keys()
    return [(*meant[key], each) for key, each in found.items() if each]


@tool("parliament", "parliament")
@everything
def test_parliament(name):
    """AWS knows each action, resource and condition of each statement, and they go together (so parliament says)."""
    excused = set()
    for role, statement, each in (found[1:] for found in findings() if found[0] == name):
        assert [finding.partition(" ")[0] for finding in each] == ["RESOURCE_MISMATCH"], (role, statement, each)
        why = {*several(statement["Action"])} & EXCUSED.keys()
        assert why, (role, statement, each)
        assert all(EXCUSED[action] in role for action in why), role
        excused |= why
    given = {"CloudWatchLogs": {"logs:DescribeLogGroups"}, "ecs-operator": {"ssm:DescribeParameters"}}
    assert excused == given.get(name, set()) | ({"s3:List*"} if uploaded(name) else set())


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
