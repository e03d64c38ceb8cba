"""A secret whose name ends like the random suffix of an ARN gives a warning."""

from __future__ import annotations

import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk.assertions import Annotations, Match

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowImage,
    AirflowVersion,
    CeleryExecutor,
    ExistingDatabase,
    FireLens,
    RedisBroker,
    Service,
)

# The arguments that accept a secret.
PLACES = {
    "environment=": lambda secret: {"environment": {"TOKEN": ecs.Secret.from_secrets_manager(secret)}},
    "a field in environment=": lambda secret: {"environment": {"TOKEN": ecs.Secret.from_secrets_manager(secret, "t")}},
    "config=": lambda secret: {"config": {"smtp": {"smtp_password": ecs.Secret.from_secrets_manager(secret)}}},
    "a service": lambda secret: {"scheduler": Service(environment={"TOKEN": ecs.Secret.from_secrets_manager(secret)})},
    "FireLens": lambda secret: {
        "log_router": FireLens(options={"Name": "http", "http_passwd": ecs.Secret.from_secrets_manager(secret)})
    },
    "RedisBroker.existing": lambda secret: {
        "executor": CeleryExecutor(broker=RedisBroker.existing("redis.example.com", auth_token=secret))
    },
    "ExistingDatabase": lambda secret: {"database": ExistingDatabase(endpoint="db.example.com", secret=secret)},
    "credentials=": lambda secret: {"image": AirflowImage.registry("ghcr.io/acme/airflow:2.11.2", credentials=secret)},
    "the official image": lambda secret: {"image": AirflowImage.official(credentials=secret)},
}
WORDS = ".*'redis-tokens' .*from_secret_complete_arn.*"


def warnings(stack: Stack) -> list[str]:
    """Return the warnings about names of secrets."""
    found = Annotations.from_stack(stack).find_warning("*", Match.string_like_regexp(".*from_secret_complete_arn.*"))
    return [str(each.entry.data) for each in found]


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_name_that_ends_like_an_arn_suffix_gives_a_warning(place: str):
    """The warning does not depend on the stack's region."""
    for region in (None, "eu-central-1"):
        environment = Environment(region=region, account="123456789012") if region else None
        stack = Stack(App(), "S", env=environment)
        secret = secretsmanager.Secret.from_secret_name_v2(stack, "Secret", "redis-tokens")
        AirflowCluster(stack, "A", version=AirflowVersion.V2_11, **PLACES[place](secret))
        Annotations.from_stack(stack).has_warning("/S/A", Match.string_like_regexp(WORDS))
        assert len(warnings(stack)) == 1


@pytest.mark.parametrize("place", PLACES)
def test_a_partial_arn_that_ends_like_a_complete_one_gives_a_warning(place: str):
    """ECS would read the end of the name as the suffix of a complete ARN."""
    stack = Stack(App(), "S")
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:redis-tokens"
    secret = secretsmanager.Secret.from_secret_partial_arn(stack, "Secret", arn)
    AirflowCluster(stack, "A", version=AirflowVersion.V2_11, **PLACES[place](secret))
    Annotations.from_stack(stack).has_warning("/S/A", Match.string_like_regexp(WORDS))
    assert len(warnings(stack)) == 1


def test_complete_arns_and_other_secret_names_give_no_warning():
    """Secrets that the same app creates give no warning either."""
    stack = Stack(App(), "S")
    make = secretsmanager.Secret
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:token-AbCdEf"
    secrets = [
        make(stack, "Made"),
        make.from_secret_name_v2(stack, "Named", "airflow/redis"),
        make.from_secret_name_v2(stack, "Longer", "redis-password"),
        make.from_secret_complete_arn(stack, "Complete", arn),
        make.from_secret_partial_arn(stack, "Partial", f"{arn.removesuffix('-AbCdEf')}"),
    ]
    environment = {f"TOKEN_{n}": ecs.Secret.from_secrets_manager(secret) for n, secret in enumerate(secrets)}
    AirflowCluster(stack, "A", version=AirflowVersion.V3_3, environment=environment)
    assert not warnings(stack)


def test_add_ecs_task_checks_the_names_of_secrets():
    """add_ecs_task checks the names of the secrets of the ECS task."""
    stack = Stack(App(), "S")
    secret = secretsmanager.Secret.from_secret_name_v2(stack, "Secret", "redis-tokens")
    cluster = AirflowCluster(stack, "A", version=AirflowVersion.V3_3)
    cluster.add_ecs_task(
        "etl",
        image=ecs.ContainerImage.from_registry("public.ecr.aws/docker/library/busybox:1.37"),
        environment={"TOKEN": ecs.Secret.from_secrets_manager(secret)},
    )
    assert len(warnings(stack)) == 1
