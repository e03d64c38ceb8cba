"""The example of the walk-through with its stores in containers: each row of its table is so in its template."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pages import ROOT, table
from test_copilot import SEED_MANIFEST, containers, secret_names, variable

from synthesis import example, resources, strings

NAME = "celery-redis-container"
SERVICES = ("webserver", "scheduler", "worker")


def made() -> dict[str, Any]:
    """The example's template."""
    return example(NAME).templates["AirflowDev"]


def rows() -> list[list[str]]:
    """The rows of the example's table."""
    return table((ROOT / "examples" / NAME / "README.md").read_text(encoding="utf-8"), "## What it makes")[1:]


def task(container: str) -> dict[str, Any]:
    """The task definition of a container."""
    return next(
        definition["Properties"]
        for definition in resources(made(), "AWS::ECS::TaskDefinition").values()
        if any(each["Name"] == container for each in definition["Properties"]["ContainerDefinitions"])
    )


def services() -> list[dict[str, Any]]:
    """Every service."""
    return [service["Properties"] for service in resources(made(), "AWS::ECS::Service").values()]


def each(name: str, value: Any) -> Callable[[], bool]:
    """The walk-through's three services have a plain variable."""
    return lambda: all(variable(made(), container, name) == value for container in SERVICES)


def host(name: str, beginning: str) -> Callable[[], bool]:
    """Those that use a store find it by its name in the cluster's zone."""
    return lambda: all(variable(made(), each, name).startswith(beginning + ".") for each in ("scheduler", "worker"))


def only_as_secret(*names: str) -> Callable[[], bool]:
    """The webserver gets these from Secrets Manager."""
    return lambda: set(names) <= secret_names(made(), "webserver")


ROWS: dict[str, Callable[[], bool]] = {
    "http: healthcheck: '/health'": lambda: "/health" in strings(resources(made(), TARGETS)),
    "cpu: 512": lambda: all(task(each)["Cpu"] == "512" for each in SERVICES),
    "memory: 1024": lambda: all(task(each)["Memory"] == "1024" for each in SERVICES),
    "count: 1": lambda: [service["DesiredCount"] for service in services()] == [1] * 7,
    "exec: true": lambda: all(service["EnableExecuteCommand"] for service in services()),
    "network: connect: true": lambda: len(resources(made(), "AWS::ServiceDiscovery::Service")) == 2,
    "storage: ephemeral: 50": lambda: all(task(each)["EphemeralStorage"] == {"SizeInGiB": 50} for each in SERVICES),
    "variables:": lambda: True,  # the rows that follow
    "LOG_LEVEL: debug": each("AIRFLOW__LOGGING__LOGGING_LEVEL", "DEBUG"),
    "REDIS_HOST: redis": host("BROKER_HOST", "broker"),
    "REDIS_PORT: 6379": lambda: variable(made(), "worker", "BROKER_PORT") == "6379",
    "POSTGRES_HOST: postgres": host("METADATA_HOST", "database"),
    "POSTGRES_PORT: 5432": each("METADATA_PORT", "5432"),
    "POSTGRES_USER: airflow": lambda: variable(made(), "postgres", "POSTGRES_USER") == "airflow",
    "POSTGRES_PASSWORD: airflow": lambda: secret_names(made(), "postgres") == {"POSTGRES_PASSWORD"},
    "POSTGRES_DB: airflow": lambda: variable(made(), "postgres", "POSTGRES_DB") == "airflow",
    "FERNET_KEY: …": only_as_secret("FERNET_SEED"),
    "SECRET_KEY: …": only_as_secret("AIRFLOW__WEBSERVER__SECRET_KEY"),
    "AIRFLOW_BASE_URL: http://localhost:8080": each("AIRFLOW__WEBSERVER__BASE_URL", "http://localhost:8080"),
    "DEFAULT_PASSWORD: admin": lambda: "AIRFLOW_ECS_ADMIN_PASSWORD" in secret_names(made(), "migrate"),
    "ENABLE_REMOTE_LOGGING: False": each("AIRFLOW__LOGGING__REMOTE_LOGGING", "False"),
    "STAGE: dev": each("STAGE", "dev"),
}
TARGETS = "AWS::ElasticLoadBalancingV2::TargetGroup"


def test_every_line_of_the_manifests_has_a_row():
    """The table has what is checked here, and that is each field and variable of the walk-through."""
    assert [row[0].strip("`") for row in rows()] == list(ROWS)
    assert all(any(f"{field}:" in row for row in ROWS) for field in SEED_MANIFEST)


@pytest.mark.parametrize("row", ROWS)
def test_row(row: str):
    """What the row says is so."""
    assert ROWS[row]()


def test_images():
    """Each service runs what the walk-through's Dockerfiles start from."""
    images = {name: container["Image"] for name, container in containers(made()).items()}
    assert {images[each] for each in SERVICES} == {"apache/airflow:2.8.1-python3.11"}
    assert images["postgres"].endswith("/postgres:14")
    assert images["redis"].endswith("/redis:6.2")


def test_what_fits():
    """The worker runs two tasks at a time."""
    assert variable(made(), "worker", "AIRFLOW__CELERY__WORKER_CONCURRENCY") == "2"


def test_nothing_of_the_walk_through_is_known():
    """None of its passwords and keys stands in the template."""
    assert not {"admin:admin", "46BKJoQYlPPOexq0OhDZnIlNepKFf87WFwLbfzqDDho="} & {*strings(made())}
    assert "POSTGRES_PASSWORD" not in {item["Name"] for item in containers(made())["postgres"]["Environment"]}
