"""Helpers for plan tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cdk_airflow_ecs import (
    AirflowImage,
    AirflowVersion,
    CeleryExecutor,
    EcsExecutor,
    ExistingDatabase,
    LocalExecutor,
    RedisBroker,
    SeveralExecutors,
    SqsBroker,
)
from cdk_airflow_ecs.cluster_arguments import ClusterArguments
from cdk_airflow_ecs.plan import ClusterPlan, Component, Container
from cdk_airflow_ecs.resolve import resolve
from cdk_airflow_ecs.settings import Settings
from cdk_airflow_ecs.testing import plan_of
from contracts.foreign_executor import LambdaExecutor


class EcsSecret:
    """Stand-in for ``ecs.Secret``."""

    has_field = False


SECRET = SimpleNamespace(secret_arn="arn:aws:secretsmanager:eu-central-1:123456789012:secret:s-AbCdEf")
BUCKET = SimpleNamespace(bucket_arn="arn:aws:s3:::b", bucket_name="b")
GROUP = SimpleNamespace(security_group_id="sg-1")
NUMBER_TOKEN = -1.8881545897087626e289
TEXT_TOKEN = "${Token[TOKEN.1]}"

OWN_IMAGE = AirflowImage.registry("ghcr.io/acme/airflow:1")
VERSIONS = {version.line: version for version in AirflowVersion.ALL}
EXISTING = ExistingDatabase(endpoint="db.example.com", secret=SECRET)
LAMBDA = LambdaExecutor(
    function=SimpleNamespace(function_name="tasks"),
    queue=SimpleNamespace(queue_url="https://sqs.eu-central-1.amazonaws.com/123456789012/q"),
)
EXECUTORS = {
    "celery": CeleryExecutor(),
    "existing-redis": CeleryExecutor(broker=RedisBroker.existing("redis.example.com", auth_token=SECRET)),
    "container-redis": CeleryExecutor(broker=RedisBroker.container()),
    "sqs": CeleryExecutor(broker=SqsBroker()),
    "local": LocalExecutor(),
    "lambda": LAMBDA,
    "ecs": EcsExecutor(),
    "several": SeveralExecutors([CeleryExecutor(), EcsExecutor(spot=True)]),
}
# Releases that an executor does not support.
LACKING = {"lambda": ("2.8", "2.9", "2.10"), "several": ("2.8", "2.9")}
ACCEPTED = [(line, name) for line in VERSIONS for name in EXECUTORS if line not in LACKING.get(name, ())]


def plan(line: str = "3.3", executor: str = "celery", **arguments: Any) -> ClusterPlan:
    """Plan a cluster of a release line."""
    return plan_of(**{"version": VERSIONS[line], "executor": EXECUTORS[executor], **arguments})


def settings_of(**arguments: Any) -> Settings:
    """Return the checked settings of a cluster."""
    return resolve(ClusterArguments(**arguments))


def containers(plan: ClusterPlan) -> dict[str, Container]:
    """Return a plan's containers by name."""
    return {container.name: container for component in plan.components for container in component.containers}


def services(plan: ClusterPlan) -> list[Component]:
    """Return all long-running components."""
    return [component for component in plan.components if component.count is not None]


def option(container: Container, section: str, name: str) -> Any:
    """Return the value of an Airflow option, or None."""
    return container.environment.get(f"AIRFLOW__{section}__{name}".upper())
