"""Secrets that the user creates in Secrets Manager or SSM: which containers have them and who may read them."""

from __future__ import annotations

import pytest
from aws_cdk import Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm
from test_security import component, containers, several, statements

from cdk_airflow_ecs import AirflowVersion, CeleryExecutor, EcsExecutor, Service, SeveralExecutors, WorkerPool
from synthesis import add_cluster, flat, resources, synthesize

pytestmark = pytest.mark.xdist_group("synth")

NAME = "MY_TOKEN"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0"


def from_secrets_manager(stack):
    """Return an imported secret with an imported key."""
    key = kms.Key.from_key_arn(stack, "Key", KEY)
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mine-AbCdEf"
    secret = secretsmanager.Secret.from_secret_attributes(stack, "Mine", secret_complete_arn=arn, encryption_key=key)
    return ecs.Secret.from_secrets_manager(secret, "token")


def from_ssm(stack):
    """Return an imported SecureString parameter with an imported key."""
    key = kms.Key.from_key_arn(stack, "Key", KEY)
    parameter = ssm.StringParameter.from_secure_string_parameter_attributes(
        stack, "Mine", parameter_name="/mine/token", encryption_key=key
    )
    return ecs.Secret.from_ssm_parameter(parameter)


SOURCES = {"Secrets Manager": from_secrets_manager, "SSM": from_ssm}
# By kind of secret: the reference (ValueFrom) that CDK writes for the environment variable.
VALUES = {
    "Secrets Manager": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mine-AbCdEf:token::",
    "SSM": "arn:<AWS::Partition>:ssm:<AWS::Region>:<AWS::AccountId>:parameter/mine/token",
}
READS = {"Secrets Manager": "secretsmanager:GetSecretValue", "SSM": "ssm:GetParameters"}


def _celery(stack, secret):
    pools = [WorkerPool("default"), WorkerPool("own", environment={NAME: secret})]
    add_cluster(stack, executor=lambda _: CeleryExecutor(pools=pools))


def _added_pool(stack, secret):
    add_cluster(stack).add_worker_pool(WorkerPool("own", environment={NAME: secret}))


def _executor(stack, secret):
    executors = [CeleryExecutor(), EcsExecutor(environment={NAME: secret})]
    add_cluster(stack, executor=lambda _: SeveralExecutors(executors))


def _ecs_task(stack, secret):
    add_cluster(stack).add_ecs_task("etl", environment={NAME: secret})


ALL = {"ApiServer", "Scheduler", "DagProcessor", "Triggerer", "Poolsdefault"}
# Each argument that may hold a secret, with the components that receive it.
PLACES = {
    "environment=": (lambda stack, s: add_cluster(stack, environment={NAME: s}), ALL),
    **{
        name: (lambda stack, s, name=name: add_cluster(stack, **{name: Service(environment={NAME: s})}), {owner})
        for name, owner in {
            "api_server": "ApiServer",
            "scheduler": "Scheduler",
            "dag_processor": "DagProcessor",
            "triggerer": "Triggerer",
        }.items()
    },
    "WorkerPool": (_celery, {"Poolsown"}),
    "add_worker_pool": (_added_pool, {"Poolsown"}),
    "EcsExecutor": (_executor, {"Tasksexecutor"}),
    "add_ecs_task": (_ecs_task, {"Tasksetl"}),
}


def template(place, source):
    """Return the template of a cluster with a secret from *source* in the argument *place*."""
    return synthesize(lambda app: _filled(Stack(app, "Data"), place, source)).templates["Data"]


def _filled(stack, place, source):
    PLACES[place][0](stack, SOURCES[source](stack))


def readers(result, source):
    """Return the components that may read and those that may decrypt the secret; check that no other role may."""
    found = {"read": set(), "decrypt": set()}
    for role, statement in statements(result):
        actions, of = several(statement["Action"]), [flat(each) for each in several(statement["Resource"])]
        does = [
            *(["read"] if READS[source] in actions and any("mine" in str(each) for each in of) else []),
            *(["decrypt"] if "kms:Decrypt" in actions and KEY in of else []),
        ]
        for each in does:
            assert "ExecutionRole" in role, role
            found[each].add(component(role))
    return found


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("place", PLACES)
def test_only_components_that_receive_a_secret_may_read_the_secret(place, source):
    """No other execution role may read or decrypt the secret."""
    result, owners = template(place, source), PLACES[place][1]
    holders = {
        name.partition("/")[0]: secret["ValueFrom"]
        for name, container in containers(result).items()
        for secret in container.get("Secrets", ())
        if secret["Name"] == NAME
    }
    assert {*holders} == owners
    assert {flat(value) for value in holders.values()} == {VALUES[source]}
    assert readers(result, source) == {"read": owners, "decrypt": owners}
    plain = [
        variable["Name"] for container in containers(result).values() for variable in container.get("Environment", ())
    ]
    assert NAME not in plain


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("line", ["3.3", "2.11"])
def test_a_sensitive_option_reaches_all_containers_but_the_migration(source, line):
    """A sensitive option reaches every Airflow container except the migration."""

    def build(app):
        stack = Stack(app, "Data")
        config = {"smtp": {"smtp_password": SOURCES[source](stack)}}
        add_cluster(stack, config=config, version=AirflowVersion.of(line))

    result = synthesize(build).templates["Data"]
    owners = (ALL - {"ApiServer"}) | {"ApiServer" if line == "3.3" else "Webserver"}
    holders = {
        name.partition("/")[0]
        for name, container in containers(result).items()
        for secret in container.get("Secrets", ())
        if secret["Name"] == "AIRFLOW__SMTP__SMTP_PASSWORD" and flat(secret["ValueFrom"]) == VALUES[source]
    }
    assert holders == owners
    assert readers(result, source) == {"read": owners, "decrypt": owners}


def test_the_cluster_has_the_execution_role_of_each_component():
    """`execution_roles` of the cluster includes components added after construction."""

    def build(app):
        stack = Stack(app, "Data")
        cluster = add_cluster(stack, executor=EcsExecutor())
        cluster.add_ecs_task("etl")
        assert {*cluster.execution_roles} == {component.name for component in cluster.plan.components}
        kms.Key.from_key_arn(stack, "Key", KEY).grant_decrypt(cluster.execution_roles["Tasks/etl"])

    result = synthesize(build).templates["Data"]
    assert readers(result, "Secrets Manager") == {"read": set(), "decrypt": {"Tasksetl"}}


@pytest.mark.parametrize("source", SOURCES)
def test_roles_may_decrypt_with_a_key_of_the_same_stack(source):
    """Execution roles may decrypt a secret with a KMS key of the same stack."""

    def build(app):
        stack = Stack(app, "Data")
        key = kms.Key(stack, "Key")
        if source == "SSM":
            parameter = ssm.StringParameter.from_secure_string_parameter_attributes(
                stack, "Mine", parameter_name="/mine/token", encryption_key=key
            )
            secret = ecs.Secret.from_ssm_parameter(parameter)
        else:
            secret = ecs.Secret.from_secrets_manager(secretsmanager.Secret(stack, "Mine", encryption_key=key))
        add_cluster(stack).add_ecs_task("etl", environment={NAME: secret})

    result = synthesize(build).templates["Data"]
    (key,) = (name for name in resources(result, "AWS::KMS::Key") if name.startswith("Key"))
    decrypt = {
        role
        for role, statement in statements(result)
        if "kms:Decrypt" in several(statement["Action"])
        and {"Fn::GetAtt": [key, "Arn"]} in several(statement["Resource"])
    }
    policy = str(result["Resources"][key]["Properties"]["KeyPolicy"])
    by_policy = {role for role in resources(result, "AWS::IAM::Role") if role in policy}
    assert {component(role) for role in decrypt | by_policy} == {"Tasksetl"}
    assert all("ExecutionRole" in role for role in decrypt | by_policy)
