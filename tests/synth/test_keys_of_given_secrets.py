"""An ``ecs.Secret`` works if its KMS key is in any stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowVersion,
    CeleryExecutor,
    FireLens,
    RedisBroker,
    Service,
    WorkerPool,
)
from synthesis import flat, synthesize

pytestmark = pytest.mark.xdist_group("synth")

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret"
KEY_ARN = "arn:aws:kms:eu-central-1:123456789012:key"
PLACES = ("environment", "config", "service", "pool", "task", "router", "broker", "added")


def own(stack: Stack, home: Stack, name: str) -> secretsmanager.ISecret:
    """Create a secret and its key in the cluster's stack."""
    del home
    return secretsmanager.Secret(stack, f"mine-{name}", encryption_key=kms.Key(stack, f"key-{name}"))


def other_stack(stack: Stack, home: Stack, name: str) -> secretsmanager.ISecret:
    """Create a secret and its key in another stack."""
    del stack
    return secretsmanager.Secret(home, f"mine-{name}", encryption_key=kms.Key(home, f"key-{name}"))


def imported(stack: Stack, home: Stack, name: str) -> secretsmanager.ISecret:
    """Import a secret and its key."""
    del home
    key = kms.Key.from_key_arn(stack, f"key-{name}", f"{KEY_ARN}/key-{name}")
    return secretsmanager.Secret.from_secret_attributes(
        stack, name, secret_complete_arn=f"{ARN}:mine-{name}-AbCdEf", encryption_key=key
    )


def imported_by_part(stack: Stack, home: Stack, name: str) -> secretsmanager.ISecret:
    """Import a secret by an ARN without the random suffix, and its key."""
    del home
    key = kms.Key.from_key_arn(stack, f"key-{name}", f"{KEY_ARN}/key-{name}")
    return secretsmanager.Secret.from_secret_attributes(
        stack, name, secret_partial_arn=f"{ARN}:mine-{name}", encryption_key=key
    )


def build(app: App, make: Callable[[Stack, Stack, str], secretsmanager.ISecret]) -> None:
    """Create a cluster with a separate secret in each argument that accepts one."""
    home, stack = Stack(app, "Home"), Stack(app, "S")
    created = {place: make(stack, home, place) for place in PLACES}
    secrets = {place: ecs.Secret.from_secrets_manager(secret) for place, secret in created.items()}
    secrets["service"] = ecs.Secret.from_secrets_manager(created["service"], "token")
    version = ecs.SecretVersionInfo(version_stage="AWSPREVIOUS")
    secrets["task"] = ecs.Secret.from_secrets_manager_version(created["task"], version, "token")
    del created
    cluster = AirflowCluster(
        stack,
        "A",
        version=AirflowVersion.V3_3,
        environment={"FOR_ALL": secrets["environment"]},
        config={"smtp": {"smtp_password": secrets["config"]}},
        scheduler=Service(environment={"FOR_SCHEDULER": secrets["service"]}),
        executor=CeleryExecutor(
            broker=RedisBroker.existing("redis.example.com", auth_token=secrets["broker"]),
            pools=[WorkerPool("default", environment={"FOR_POOL": secrets["pool"]})],
        ),
        log_router=FireLens(options={"Name": "http", "http_passwd": secrets["router"]}),
    )
    cluster.add_ecs_task("etl", environment={"FOR_ETL": secrets["task"]})
    # An added pool changes the API server's task definition as well.
    cluster.add_worker_pool(WorkerPool("more", queues=["more"], environment={"FOR_MORE": secrets["added"]}))


def places_of(value: object) -> set[str]:
    """Return which of PLACES the secrets and keys in *value* belong to."""
    text = str(flat(value))
    return {place for place in PLACES if re.search(rf"(mine|key)-?{place}", text)}


def given(template: Mapping[str, dict]) -> dict[str, dict[str, list[object]]]:
    """Return the secrets in the containers of each execution role, by place."""
    found: dict[str, dict[str, list[object]]] = {}
    for each in template.values():
        if each["Type"] == "AWS::ECS::TaskDefinition":
            task = each["Properties"]
            of_role = found.setdefault(task["ExecutionRoleArn"]["Fn::GetAtt"][0], {})
            for container in task["ContainerDefinitions"]:
                options = container.get("LogConfiguration", {}).get("SecretOptions", ())
                for secret in (*container.get("Secrets", ()), *options):
                    for place in places_of(secret["ValueFrom"]):
                        of_role.setdefault(place, []).append(flat(secret["ValueFrom"]))
    return found


def statements_for(template: Mapping[str, dict], role: str, action: str) -> list[dict]:
    """Return the statements of *role* that allow *action*."""
    policies = [each["Properties"] for each in template.values() if each["Type"] == "AWS::IAM::Policy"]
    statements = [s for each in policies if {"Ref": role} in each["Roles"] for s in each["PolicyDocument"]["Statement"]]
    return [each for each in statements if action in each["Action"]]


@pytest.mark.parametrize("make", [own, other_stack, imported, imported_by_part])
def test_every_execution_role_may_read_and_decrypt_only_its_secrets(
    make: Callable[[Stack, Stack, str], secretsmanager.ISecret],
):
    """Each execution role may read only its containers' secrets, and use the keys only through Secrets Manager."""
    templates = synthesize(lambda app: build(app, make)).templates
    template = templates["S"]["Resources"]
    roles = given(template)
    assert {place for secrets in roles.values() for place in secrets} == {*PLACES}
    for role, secrets in roles.items():
        readable = {
            place
            for each in statements_for(template, role, "secretsmanager:GetSecretValue")
            for place in places_of(each["Resource"])
        }
        assert readable == {*secrets}, role
        decrypting = [each for each in statements_for(template, role, "kms:Decrypt") if places_of(each["Resource"])]
        assert {place for each in decrypting for place in places_of(each["Resource"])} == {*secrets}, role
        assert all("secretsmanager" in str(each["Condition"]["StringLike"]["kms:ViaService"]) for each in decrypting)
    (field,) = {str(value) for secrets in roles.values() for value in secrets.get("service", ())}
    (version,) = {str(value) for secrets in roles.values() for value in secrets.get("task", ())}
    assert field.endswith(":token::")
    assert version.endswith(":token:AWSPREVIOUS:")
    keys = [
        each["Properties"]["KeyPolicy"]
        for created in templates.values()
        for each in created.get("Resources", {}).values()
        if each["Type"] == "AWS::KMS::Key"
    ]
    assert not any("ExecutionRole" in str(policy) for policy in keys)


def test_the_import_that_has_the_key_of_a_secret_is_used():
    """If a secret is imported with and without its key, the import with the key is used."""

    def twice(app: App) -> None:
        stack = Stack(app, "S")
        imported(stack, stack, "task")
        bare = secretsmanager.Secret.from_secret_complete_arn(stack, "Bare", f"{ARN}:mine-task-AbCdEf")
        cluster = AirflowCluster(stack, "A", version=AirflowVersion.V3_3)
        cluster.add_ecs_task("etl", environment={"FOR_ETL": ecs.Secret.from_secrets_manager(bare)})

    template = synthesize(twice).templates["S"]["Resources"]
    (role,) = (role for role, secrets in given(template).items() if secrets)
    assert [each for each in statements_for(template, role, "kms:Decrypt") if places_of(each["Resource"]) == {"task"}]
