"""IAM statements of all examples and some other clusters."""

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
# Actions that create, list or empty shared resources, which no component needs.
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
# RDS writes its metrics to its own log group, with a role that only RDS may assume.
RDS = ("DatabaseMonitoringRole", "logs:CreateLogGroup", "log-group:RDS")
# Actions that do not support resources: those of ECS Exec, the login to ECR, and ListServices.
EVERYWHERE = {
    "ecr:GetAuthorizationToken",
    "ecs:DiscoverPollEndpoint",
    "ecs:ListServices",
    "logs:DescribeLogGroups",
    *(f"ssmmessages:{verb}{which}Channel" for verb in ("Create", "Open") for which in ("Control", "Data")),
}
# Actions, by role, for which parliament expects another resource. AWS documents "log-group:*" for the first; the others
# are in statements that CDK generates, for its upload function and for an example's parameter.
EXCUSED = {
    "logs:DescribeLogGroups": "TaskRole",
    "s3:List*": "DagsUploadRole",
    "ssm:DescribeParameters": "ExecutionRole",
}
# Actions newer than parliament.
UNKNOWN = {"ecs:PutSystemLogEvents"}
# ROLES: properties with the statements of IAM roles. OTHERS: properties with resource policies and trust policies.
ROLES = {("AWS::IAM::Policy", "PolicyDocument"), ("AWS::IAM::Role", "Policies")}
TRUST, BUCKET, KEY = "AWS::IAM::Role", "AWS::S3::BucketPolicy", "AWS::KMS::Key"
OTHERS = {
    (TRUST, "AssumeRolePolicyDocument"),
    (BUCKET, "PolicyDocument"),
    (KEY, "KeyPolicy"),
    ("AWS::SNS::TopicPolicy", "PolicyDocument"),
    ("AWS::SQS::QueuePolicy", "PolicyDocument"),
    ("AWS::EFS::FileSystem", "FileSystemPolicy"),
}
TYPES = {kind for kind, _ in OTHERS}
ACCOUNT, SOURCE = "arn:aws:iam::123456789012:root", "aws:SourceAccount"
# The allowed resource and trust policies: resource type, principal, actions, condition keys.
GRANTED = {
    (TRUST, "ecs-tasks.amazonaws.com", "sts:AssumeRole", f"{SOURCE} aws:SourceArn"),
    # AWS documents the trust of the two roles of ECS Managed Instances without conditions.
    (TRUST, "ec2.amazonaws.com", "sts:AssumeRole", ""),
    (TRUST, "ecs.amazonaws.com", "sts:AssumeRole", ""),
    (TRUST, "scheduler.amazonaws.com", "sts:AssumeRole", f"{SOURCE} aws:SourceArn"),
    (TRUST, "monitoring.rds.amazonaws.com", "sts:AssumeRole", SOURCE),
    (TRUST, "vpc-flow-logs.amazonaws.com", "sts:AssumeRole", SOURCE),
    (TRUST, "vpc-flow-logs.amazonaws.com", "sts:AssumeRole", ""),  # for the VPC that an example creates
    (TRUST, "lambda.amazonaws.com", "sts:AssumeRole", ""),  # Lambda sends no source account
    (BUCKET, "logging.s3.amazonaws.com", "s3:PutObject", SOURCE),
    (
        BUCKET,
        "logdelivery.elasticloadbalancing.amazonaws.com",
        "s3:PutObject",
        "",
    ),  # the object path contains the account
    # CDK's function that empties buckets for development.
    (BUCKET, ARNS[TRUST], "s3:DeleteObject* s3:GetBucket* s3:List* s3:PutBucketPolicy", ""),
    ("AWS::SNS::TopicPolicy", "cloudwatch.amazonaws.com", "sns:Publish", SOURCE),
    ("AWS::SQS::QueuePolicy", "events.amazonaws.com", "sqs:SendMessage", "aws:SourceArn"),
    (KEY, "cloudwatch.amazonaws.com", "kms:Decrypt kms:GenerateDataKey*", ""),  # alarms publish to an encrypted topic
    (KEY, ACCOUNT, "kms:*", ""),  # delegates to the policies of roles
    (
        *(KEY, "logs.eu-central-1.amazonaws.com"),
        "kms:Decrypt* kms:Describe* kms:Encrypt* kms:GenerateDataKey* kms:ReEncrypt*",
        "kms:EncryptionContext:aws:logs:arn",
    ),
}
# Findings of parliament that are ignored: for actions with "*", some of which do not apply to the resource, and for the
# encryption context of a key, which parliament does not know.
SAID = {"RESOURCE_MISMATCH", "UNKNOWN_CONDITION_FOR_ACTION", "MISMATCHED_TYPE", "RESOURCE_POLICY_PRIVILEGE_ESCALATION"}
# CDK's function that uploads DAGs may use these prefixes on CDK's bucket and the bucket of DAGs.
UPLOAD = {"s3:GetObject*", "s3:GetBucket*", "s3:List*", "s3:DeleteObject*", "s3:Abort*"}


def routed(app: App) -> None:
    """Create a cluster whose containers log through FireLens."""
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
    """Return the templates of an example or cluster."""
    return (synthesize(CLUSTERS[name]) if name in CLUSTERS else example(name)).templates


def imported(node, name):
    """Resolve Fn::ImportValue and Fn::Sub in a part of a template."""
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
    """Return role and statement of each role policy, the statement as in the template and as deployed."""
    return [
        (role, statement, deployed(template, imported(statement, name)))
        for template in templates(name).values()
        for role, statement in statements(template)
    ]


def nested(node):
    """Yield every statement inside *node*."""
    if isinstance(node, list):
        for part in node:
            yield from nested(part)
    elif isinstance(node, dict):
        yield from several(node.get("Statement", []))
        for part in node.values():
            yield from nested(part)


@functools.cache
def granted(name):
    """Return each deployed statement of resource policies, with resource type and property."""
    return [
        (resource["Type"], place, deployed(template, imported(statement, name)))
        for template in templates(name).values()
        for resource in template["Resources"].values()
        for place, value in resource.get("Properties", {}).items()
        if (resource["Type"], place) not in ROLES
        for statement in nested(value)
    ]


def uploaded(name):
    """Return whether the deployment uploads DAGs."""
    return any(resources(template, "Custom::CDKBucketDeployment") for template in templates(name).values())


def for_parliament(kind, statement):
    """Return a statement of a resource policy in parliament's form."""
    named = {"Resource": ARNS[kind]} if statement.get("Resource", "*") == "*" else {}
    conditions = {
        operator: {key: str(int(value)) if isinstance(value, float) else value for key, value in given.items()}
        for operator, given in statement.get("Condition", {}).items()
    }
    return {**statement, **named, "Condition": conditions}


@functools.cache
def findings():
    """Return (name, resource type or role, statement, parliament's findings), each distinct statement checked once."""
    names = (*EXAMPLES, *CLUSTERS)
    every = [(name, role, each, each) for name in names for role, _, each in allowed(name)]
    every += [(name, kind, each, for_parliament(kind, each)) for name in names for kind, _, each in granted(name)]
    impossible = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket"}
    distinct = {json.dumps(each): each for each in (*(taken for *_, taken in every), impossible)}
    found = analyze({key: {"Version": "2012-10-17", "Statement": [each]} for key, each in distinct.items()})
    assert found[json.dumps(impossible)]
    return [(name, whose, each, found[json.dumps(taken)]) for name, whose, each, taken in every]


@tool("parliament", "parliament")
@everything
def test_parliament_accepts_the_statements_of_roles(name):
    """Parliament accepts the statements of roles, with documented exceptions."""
    excused = set()
    for role, statement, each in (found[1:] for found in findings() if found[0] == name):
        if not each or role in TYPES:
            continue
        kinds = [finding.partition(" ")[0] for finding in each]
        if kinds == ["UNKNOWN_ACTION"] and UNKNOWN & {*several(statement["Action"])}:
            continue
        assert kinds == ["RESOURCE_MISMATCH"], (role, statement, each)
        why = {*several(statement["Action"])} & EXCUSED.keys()
        assert why, (role, statement, each)
        assert all(EXCUSED[action] in role for action in why), role
        excused |= why
    given = {"CloudWatchLogs": {"logs:DescribeLogGroups"}, "ecs-operator": {"ssm:DescribeParameters"}}
    assert excused == given.get(name, set()) | ({"s3:List*"} if uploaded(name) else set())


@tool("parliament", "parliament")
@everything
def test_parliament_accepts_resource_and_trust_policies(name):
    """Parliament accepts resource and trust policies."""
    for kind, statement, each in (found[1:] for found in findings() if found[0] == name):
        if each and kind in TYPES:
            assert "*" in str(statement["Action"]), (kind, statement, each)
            assert {finding.partition(" ")[0] for finding in each} <= SAID, (kind, statement, each)


def test_only_this_account_and_aws_services_have_access():
    """Only this account and AWS services have access, each with its actions."""
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
def test_no_role_has_a_forbidden_action_or_may_pass_any_role(name):
    """No role has a forbidden action or may pass any role."""
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
def test_components_may_write_only_their_own_log_streams(name):
    """An execution role may write only its component's log streams."""
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
def test_only_the_upload_function_of_cdk_has_wildcard_actions(name):
    """Only CDK's upload function has wildcards in actions."""
    for role, statement, _ in allowed(name):
        actions, named = {*several(statement["Action"])}, several(statement["Resource"])
        if "*" in named:
            assert actions <= EVERYWHERE, role
        wild = {action for action in actions if "*" in action}
        assert wild <= (UPLOAD if "DagsUploadRole" in role else set()), role


@everything
def test_only_functions_of_cdk_and_managed_instances_have_managed_policies(name):
    """Only CDK's functions that empty buckets and close the default group, and Managed Instances, have one."""
    for template in templates(name).values():
        assert resources(template, "AWS::IAM::ManagedPolicy", "AWS::IAM::User", "AWS::IAM::Group") == {}
        for role, resource in resources(template, "AWS::IAM::Role").items():
            if "ManagedPolicyArns" in resource["Properties"]:
                known = ("CustomS3AutoDeleteObjects", "CustomVpcRestrictDefaultSG", "AirflowCapacitygpuInfrastructure")
                assert role.startswith(known), role
