"""The README: its first screen, the comparison, and the costs beside MWAA's."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest
from costs import HOURS, MWAA, cost_rows
from pages import ROOT, table

import cdk_airflow_ecs
from cdk_airflow_ecs import (
    AirflowImage,
    AirflowVersion,
    AuroraDatabase,
    CeleryExecutor,
    EcsExecutor,
    Executor,
    ExecutorContext,
    LocalExecutor,
    RdsDatabase,
    RedisBroker,
    Service,
    SqsBroker,
    Web,
    WorkerPool,
)
from cdk_airflow_ecs.cluster_arguments import ClusterArguments
from cdk_airflow_ecs.resolve import resolve
from cdk_airflow_ecs.settings import Settings
from cdk_airflow_ecs.testing import plan_of
from synthesis import resources, template_of

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST = TEXT.partition("\n## ")[0]
BACKENDS: dict[str, Executor] = {
    "Celery on Redis": CeleryExecutor(),
    "Celery on SQS": CeleryExecutor(broker=SqsBroker()),
    "LocalExecutor": LocalExecutor(),
    "ECS executor": EcsExecutor(),
}


def test_first_screen():
    """The first screen has a sample, two commands, the backends and a picture."""
    blocks = re.findall(r"```(\w+)\n(.*?)```", FIRST, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "bash"]
    assert [line.partition("#")[0].strip() for line in blocks[1][1].splitlines()] == ["make demo", "make test"]
    assert [re.sub(r"\*\*(.+)\*\*.*", r"\1", row[0]) for row in table(FIRST, "make test")[1:]] == list(BACKENDS)
    assert "\nKeep the default; " in FIRST
    assert "<img src=" in FIRST
    assert len(FIRST.splitlines()) < 45


@pytest.mark.parametrize("backend", BACKENDS)
def test_backend(backend: str):
    """The plan confirms where tasks run and whether an image is built."""
    (row,) = (row for row in table(FIRST, "make test")[1:] if f"**{backend}**" in row[0])
    executor = BACKENDS[backend]
    (runs,) = {
        component.name.partition("/")[0]
        for component in plan_of(version=AirflowVersion.V3_3, executor=executor).components
        if component.name.startswith(("Pools/", "Tasks/"))
        or (component.name == "Scheduler" and component.runs_user_code)
    }
    assert row[1] == {
        "Pools": "on workers that stay up",
        "Scheduler": "inside the scheduler",
        "Tasks": "in its own Fargate task",
    }.get(runs)
    built = executor.plan(ExecutorContext(version=AirflowVersion.V3_3)).requirements
    assert row[4].partition(",")[0] == ("yes" if built else "no")


LINES = f"{AirflowVersion.ALL[0].line} to {AirflowVersion.ALL[-1].line}"


def gated() -> bool:
    """Return whether every service depends on the migration."""
    template = template_of()
    (gate,) = resources(template, "Custom::AirflowMigration")
    return all(gate in service["DependsOn"] for service in resources(template, "AWS::ECS::Service").values())


def generated() -> bool:
    """Return whether Secrets Manager generates every secret."""
    secrets = resources(template_of(), "AWS::SecretsManager::Secret").values()
    return all("GenerateSecretString" in secret["Properties"] for secret in secrets)


def _misspelled() -> Settings:
    return resolve(ClusterArguments(version=AirflowVersion.V3_3, config={"core": {"paralelism": 1}}))


# The comparison's statements about this library, each with a check. Implementing a "not yet" breaks its row.
OURS: dict[str, tuple[str, Callable[[], bool]]] = {
    "You write": ("Python, typed", (ROOT / "src/cdk_airflow_ecs/py.typed").exists),
    "Airflow": (LINES, lambda: f"Apache Airflow {LINES} on Amazon ECS" in FIRST),
    "Executors": (
        "Celery, ECS, Local, several at once",
        lambda: (
            {name for name in cdk_airflow_ecs.__all__ if re.search("(.Executor|Executors)$", name)}
            == {"CeleryExecutor", "EcsExecutor", "LocalExecutor", "SeveralExecutors"}
        ),
    ),
    "Your own image": (
        "yes, also built from a folder",
        lambda: {"build", "registry", "ecr"} <= {*vars(AirflowImage)},
    ),
    "Database upgrade before services": ("yes, or the deploy fails", gated),
    "Secrets": ("made by Secrets Manager", generated),
    "Option names checked before deploy": (
        "yes",
        lambda: [each.id for each in _misspelled().advice] == ["cdk-airflow-ecs:unknown-option:core.paralelism"],
    ),
    "Autoscaling of workers": ("not yet", lambda: not hasattr(cdk_airflow_ecs, "QueueScaling")),
    "Single sign-on": ("not yet", lambda: not any("sign" in field.name for field in dataclasses.fields(Web))),
}


@pytest.mark.parametrize("row", OURS)
def test_the_librarys_column_of_the_comparison(row: str):
    """Each statement about this library is true."""
    statement, check = OURS[row]
    assert [row, statement] in [cells[:2] for cells in table(TEXT, "## Alternatives")]
    assert check()


LARGE: dict[str, Any] = {"cpu": 2048, "memory_mib": 4096, "count": 2}
REDUNDANT: dict[str, Any] = {"api_server": Service(count=2), "scheduler": Service(count=2)}
# By a row's first words: arguments of the cluster, MWAA's class, and its additional workers.
COMPARED: dict[str, tuple[dict[str, Any], tuple[str, int]]] = {
    "Small:": ({"database": RdsDatabase(multi_az=False)}, ("small", 0)),
    "Small with": (REDUNDANT, ("small", 0)),
    "Medium:": (
        {
            **REDUNDANT,
            "dag_processor": Service(cpu=1024, memory_mib=2048),
            "executor": CeleryExecutor(
                broker=RedisBroker(replicas=1), pools=[WorkerPool("default", cpu=2048, memory_mib=4096, count=2)]
            ),
            "database": RdsDatabase(instance_class="db.t4g.medium", allocated_storage_gib=50),
        },
        ("medium", 1),
    ),
    "Large,": (
        {
            "api_server": Service(**LARGE),
            "scheduler": Service(**LARGE),
            "dag_processor": Service(cpu=4096, memory_mib=8192),
            "triggerer": Service(cpu=1024, memory_mib=2048, count=2),
            "executor": CeleryExecutor(
                broker=RedisBroker(replicas=1), pools=[WorkerPool("default", cpu=2048, memory_mib=8192, count=4)]
            ),
            "database": AuroraDatabase(min_capacity=2),
        },
        ("large", 1),
    ),
}


@pytest.mark.parametrize("row", COMPARED)
def test_costs_beside_mwaa(row: str):
    """Sizes and costs are right, and the last cell names the cheaper one."""
    arguments, (kind, more) = COMPARED[row]
    (cells,) = (cells for cells in table(TEXT, "## What it costs")[1:] if cells[0].startswith(row))
    rows = [
        (what, each)
        for what, each in cost_rows(template_of(image=AirflowImage.official(architecture="arm64"), **arguments))
        if not what.startswith("NAT")
    ]
    (machines,) = (what for what, _ in rows if what.startswith("Fargate"))
    vcpu, gib = re.findall(r"[\d.]+(?= vCPU| GB)", machines)
    assert f"({vcpu} vCPU, {gib} GB)" in cells[0]
    ours = sum(each for _, each in rows)
    environment, worker = MWAA[kind]
    theirs = HOURS * (environment + more * worker)
    assert (cells[1], cells[2].rpartition(" ")[2]) == (f"${ours:,.0f}", f"${theirs:,.0f}")
    assert cells[3].startswith("this library" if ours < theirs else "**MWAA**")
    assert f"${environment}" in TEXT
    assert not more or f"${worker}" in TEXT
