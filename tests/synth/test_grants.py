"""Grants to a cluster: resource policies, and policies larger than IAM's limit."""

from __future__ import annotations

import json

import pytest
from aws_cdk import Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from cdk_airflow_ecs import LocalExecutor, WorkerPool
from cdk_airflow_ecs.grants import MOST_ADDED, RolesPrincipal
from synthesis import add_cluster, references, resources, synthesize

pytestmark = pytest.mark.xdist_group("synth")

MINIMIZE = {"@aws-cdk/aws-iam:minimizePolicies": True}
AUTHORS = ["ComponentsDagProcessor", "ComponentsTriggerer", "Poolsdefault"]


def roles_in(value) -> list[str]:
    """Return the names of the task roles that *value* refers to."""
    return sorted(name.partition("TaskRole")[0] for name in references(value) if "TaskRole" in name)


def key_statement(template):
    """Return the statement of the key policy that has task roles as principals."""
    (key,) = (key for name, key in resources(template, "AWS::KMS::Key").items() if name.startswith("OwnKey"))
    statements = key["Properties"]["KeyPolicy"]["Statement"]
    (found,) = (each for each in statements if "TaskRole" in json.dumps(each["Principal"]))
    assert "secretsmanager" in json.dumps(found["Condition"])
    return found


def secret_of_own_key(stack):
    """Return a secret that is encrypted with its own key."""
    return secretsmanager.Secret(stack, "OwnSecret", encryption_key=kms.Key(stack, "OwnKey"))


@pytest.mark.parametrize("grown", [False, True], ids=["given", "added later"])
def test_the_key_policy_of_a_secret_has_all_roles_that_run_user_code(grown):
    """The key policy includes roles of worker pools added after the grant."""

    def build(app):
        stack = Stack(app, "Data")
        cluster = add_cluster(stack)
        steps = [
            lambda: secret_of_own_key(stack).grant_read(cluster),
            lambda: cluster.add_worker_pool(WorkerPool("heavy")),
        ]
        for step in steps if grown else steps[::-1]:
            step()

    template = synthesize(build).templates["Data"]
    statement = key_statement(template)
    assert roles_in(statement["Principal"]["AWS"]) == [f"Airflow{name}" for name in [*AUTHORS, "Poolsheavy"]]
    assert len(statement["Principal"]["AWS"]) == 4
    (policy,) = (each for name, each in resources(template, "AWS::IAM::Policy").items() if "Grants" in name)
    assert roles_in(policy["Properties"]["Roles"]) == roles_in(statement["Principal"])


def test_two_clusters_and_another_role_share_a_statement_of_a_key_policy():
    """CDK may merge the statements of several grants into one."""

    def build(app):
        stack = Stack(app, "Data")
        secret = secret_of_own_key(stack)
        for name in ("First", "Second"):
            secret.grant_read(add_cluster(stack, name, executor=LocalExecutor()))
        secret.grant_read(iam.Role(stack, "OtherTaskRole", assumed_by=iam.AccountRootPrincipal()))

    template = synthesize(build, context=MINIMIZE).templates["Data"]
    principals = key_statement(template)["Principal"]["AWS"]
    parts = ["ComponentsDagProcessor", "ComponentsScheduler", "ComponentsTriggerer"]
    assert roles_in(principals) == sorted(
        ["Other", *(f"{name}{part}" for name in ("First", "Second") for part in parts)]
    )
    assert len(principals) == 7


def test_grants_within_an_account_need_no_resource_policy():
    """Within an account, policies of the cluster's task roles are enough."""

    def build(app):
        stack = Stack(app, "Data")
        key = kms.Key(stack, "OwnKey")
        cluster = add_cluster(stack, executor=LocalExecutor())
        ecr.Repository(stack, "Repository").grant_pull(cluster)
        sqs.Queue(stack, "Queue", encryption_master_key=key).grant_consume_messages(cluster)
        sns.Topic(stack, "Topic", master_key=key).grant_publish(cluster)
        s3.Bucket(stack, "Bucket", encryption_key=key, encryption=s3.BucketEncryption.KMS).grant_read_write(cluster)
        lambda_.Function(
            stack,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.Code.from_inline("def handler(event, context): pass"),
        ).grant_invoke(cluster)

    template = synthesize(build).templates["Data"]
    statements = [
        statement
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for name, policy in resources(template, kind).items()
        if "Grants" in name
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    actions = json.dumps([statement["Action"] for statement in statements])
    for action in ("ecr:BatchGetImage", "sqs:ReceiveMessage", "sns:Publish", "lambda:InvokeFunction", "kms:Decrypt"):
        assert f'"{action}"' in actions


def test_many_grants_are_split_into_several_policies():
    """Many grants are split into policies within IAM's limits."""

    def build(app):
        stack = Stack(app, "Data")
        cluster = add_cluster(stack)
        for number in range(25):
            s3.Bucket(stack, f"Bucket{number}").grant_read_write(cluster)
            attribute = dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING)
            dynamodb.Table(stack, f"Table{number}", partition_key=attribute).grant_read_write_data(cluster)
        cluster.add_worker_pool(WorkerPool("heavy"))

    template = synthesize(build).templates["Data"]
    inline, managed = (
        {name: policy["Properties"] for name, policy in resources(template, kind).items() if "Grants" in name}
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
    )
    assert [len(inline), 2 < len(managed) <= 10] == [1, True]
    for policy in (*inline.values(), *managed.values()):
        assert roles_in(policy["Roles"]) == [f"Airflow{name}" for name in [*AUTHORS, "Poolsheavy"]]
        assert characters(policy["PolicyDocument"]) <= 6_144
    granted = {name for policy in (*inline.values(), *managed.values()) for name in references(policy)}
    assert len([name for name in granted if name.startswith(("Bucket", "Table"))]) == 50
    every = resources(template, "AWS::IAM::Policy").values()
    for role in roles_in([policy["Roles"] for policy in inline.values()]):
        own = [p["Properties"]["PolicyDocument"] for p in every if role in roles_in(p["Properties"]["Roles"])]
        assert sum(map(characters, own)) <= 10_240
    # A service depends on every policy of its task role.
    service = next(r for n, r in resources(template, "AWS::ECS::Service").items() if n.startswith("AirflowPoolsheavy"))
    assert {*inline, *managed} <= {*service["DependsOn"]}


def characters(document) -> int:
    """Return the size of a policy, with a hundred characters for each reference."""

    def known(node):
        if isinstance(node, dict):
            if {"Ref", "Fn::GetAtt"} & {*node}:
                return "x" * 100
            if "Fn::Join" in node:
                return "".join(map(known, node["Fn::Join"][1]))
            return {name: known(value) for name, value in node.items()}
        return [known(each) for each in node] if isinstance(node, list) else node

    return len(json.dumps(known(document), separators=(",", ":")))


def test_more_roles_than_reserved_in_a_resource_policy_are_rejected():
    """More roles than were reserved in a resource policy raise an error."""
    stack = Stack()
    roles = {"first": iam.Role.from_role_arn(stack, "Role", "arn:aws:iam::123456789012:role/first")}
    principal = RolesPrincipal(stack, roles, lambda policy: None)
    assert len(principal.policy_fragment.principal_json["AWS"]) == 1 + MOST_ADDED
    roles |= {str(number): roles["first"] for number in range(MOST_ADDED)}
    principal.check_places()
    roles["last"] = roles["first"]
    with pytest.raises(ValueError, match=r"CeleryExecutor\(pools="):
        principal.check_places()


def test_the_stack_of_a_granted_secret_does_not_depend_on_the_cluster():
    """Only the cluster's stack depends on the stack of the secret."""

    def build(app):
        other, stack = Stack(app, "Other"), Stack(app, "Data")
        secret = secret_of_own_key(other)
        cluster = add_cluster(stack, executor=LocalExecutor())
        secret.encryption_key.grant_decrypt(cluster)
        arn = secret.secret_full_arn
        secretsmanager.Secret.from_secret_complete_arn(stack, "Login", arn).grant_read(cluster)

    template = synthesize(build).templates["Data"]
    (policy,) = (each for name, each in resources(template, "AWS::IAM::Policy").items() if "Grants" in name)
    text = json.dumps(policy["Properties"]["PolicyDocument"])
    assert "kms:Decrypt" in text
    assert "secretsmanager:GetSecretValue" in text
