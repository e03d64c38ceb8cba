"""Each row of the table in examples/celery-redis-container is true of its template."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pages import ROOT, table
from test_copilot import SEED_MANIFEST, containers, secret_names, variable

from synthesis import example, resources, strings

NAME = "celery-redis-container"
SERVICES = ("webserver", "scheduler", "worker")


def template() -> dict[str, Any]:
    """Return the example's template."""
    return example(NAME).templates["AirflowDev"]


def rows() -> list[list[str]]:
    """Return the rows of the table in the example's README."""
    return table((ROOT / "examples" / NAME / "README.md").read_text(encoding="utf-8"), "## What it creates")[1:]


def task(container: str) -> dict[str, Any]:
    """Return the task definition of a container."""
    return next(
        definition["Properties"]
        for definition in resources(template(), "AWS::ECS::TaskDefinition").values()
        if any(each["Name"] == container for each in definition["Properties"]["ContainerDefinitions"])
    )


def services() -> list[dict[str, Any]]:
    """Return the properties of every ECS service."""
    return [service["Properties"] for service in resources(template(), "AWS::ECS::Service").values()]


def each(name: str, value: Any) -> Callable[[], bool]:
    """Return a check of an environment variable of the three services."""
    return lambda: all(variable(template(), container, name) == value for container in SERVICES)


def host(name: str, beginning: str) -> Callable[[], bool]:
    """Return a check that clients use a store's name in the private DNS zone."""
    return lambda: all(variable(template(), each, name).startswith(beginning + ".") for each in ("scheduler", "worker"))


def only_as_secret(*names: str) -> Callable[[], bool]:
    """Return a check that the webserver has these variables from Secrets Manager."""
    return lambda: set(names) <= secret_names(template(), "webserver")


ROWS: dict[str, Callable[[], bool]] = {
    "http: healthcheck: '/health'": lambda: "/health" in strings(resources(template(), TARGETS)),
    "cpu: 512": lambda: all(task(each)["Cpu"] == "512" for each in SERVICES),
    "memory: 1024": lambda: all(task(each)["Memory"] == "1024" for each in SERVICES),
    "count: 1": lambda: [service["DesiredCount"] for service in services()] == [1] * 7,
    "exec: true": lambda: all(service["EnableExecuteCommand"] for service in services()),
    "network: connect: true": lambda: len(resources(template(), "AWS::ServiceDiscovery::Service")) == 2,
    "storage: ephemeral: 50": lambda: all(task(each)["EphemeralStorage"] == {"SizeInGiB": 50} for each in SERVICES),
    "variables:": lambda: True,  # the next rows check the variables
    "LOG_LEVEL: debug": each("AIRFLOW__LOGGING__LOGGING_LEVEL", "DEBUG"),
    "REDIS_HOST: redis": host("BROKER_HOST", "broker"),
    "REDIS_PORT: 6379": lambda: variable(template(), "worker", "BROKER_PORT") == "6379",
    "POSTGRES_HOST: postgres": host("METADATA_HOST", "database"),
    "POSTGRES_PORT: 5432": each("METADATA_PORT", "5432"),
    "POSTGRES_USER: airflow": lambda: variable(template(), "postgres", "POSTGRES_USER") == "airflow",
    "POSTGRES_PASSWORD: airflow": lambda: secret_names(template(), "postgres") == {"POSTGRES_PASSWORD"},
    "POSTGRES_DB: airflow": lambda: variable(template(), "postgres", "POSTGRES_DB") == "airflow",
    "FERNET_KEY: …": only_as_secret("FERNET_SEED"),
    "SECRET_KEY: …": only_as_secret("AIRFLOW__WEBSERVER__SECRET_KEY"),
    "AIRFLOW_BASE_URL: http://localhost:8080": each("AIRFLOW__WEBSERVER__BASE_URL", "http://localhost:8080"),
    "DEFAULT_PASSWORD: admin": lambda: "AIRFLOW_ECS_ADMIN_PASSWORD" in secret_names(template(), "migrate"),
    "ENABLE_REMOTE_LOGGING: False": each("AIRFLOW__LOGGING__REMOTE_LOGGING", "False"),
    "STAGE: dev": each("STAGE", "dev"),
}
TARGETS = "AWS::ElasticLoadBalancingV2::TargetGroup"


def test_every_field_of_the_copilot_manifests_has_a_row():
    """The table has each field and variable of the AWS Copilot walk-through."""
    assert [row[0].strip("`") for row in rows()] == list(ROWS)
    assert all(any(f"{field}:" in row for row in ROWS) for field in SEED_MANIFEST)


@pytest.mark.parametrize("row", ROWS)
def test_each_row_of_the_readme_is_true_of_the_template(row: str):
    """Each row of the README's table has a check, which passes."""
    assert ROWS[row]()


def test_each_service_runs_the_base_image_of_the_copilot_walk_through():
    """Each service runs the base image of the AWS Copilot walk-through."""
    images = {name: container["Image"] for name, container in containers(template()).items()}
    assert {images[each] for each in SERVICES} == {"apache/airflow:2.8.1-python3.11"}
    assert images["postgres"].endswith("/postgres:14")
    assert images["redis"].endswith("/redis:6.2")


def test_the_worker_runs_two_tasks_at_a_time():
    """As in the AWS Copilot walk-through, the worker runs two tasks at a time."""
    assert variable(template(), "worker", "AIRFLOW__CELERY__WORKER_CONCURRENCY") == "2"


def test_the_template_contains_no_secret_of_the_copilot_walk_through():
    """The template does not contain the passwords and keys of the walk-through."""
    assert not {"admin:admin", "46BKJoQYlPPOexq0OhDZnIlNepKFf87WFwLbfzqDDho="} & {*strings(template())}
    assert "POSTGRES_PASSWORD" not in {item["Name"] for item in containers(template())["postgres"]["Environment"]}
