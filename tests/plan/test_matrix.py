"""Every release with every executor, database, DAG source and image."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from plans import ACCEPTED, BUCKET, EXECUTORS, EXISTING, LACKING, OWN_IMAGE, VERSIONS, plan

from cdk_airflow_ecs import AirflowImage, AuroraDatabase, ContainerDatabase, ImageDags, RdsDatabase, S3Dags, S3Logs, Web
from cdk_airflow_ecs.ecs_task import EcsTask
from cdk_airflow_ecs.executors.base import ExecutorContext
from cdk_airflow_ecs.options import exists
from cdk_airflow_ecs.plan import ClusterPlan, Component, Json, Ref, SecretRef
from contracts.offers import ALWAYS, OFFERS, SINCE_3, STARTED

DATABASES = {"rds": RdsDatabase(), "aurora": AuroraDatabase(), "container": ContainerDatabase(), "existing": EXISTING}
BUILT = AirflowImage.build(Path(__file__).parent / "image")
# Combinations of a DAG source and an image.
CODE = {
    "s3-official": {"dags": S3Dags()},
    "s3-registry": {"dags": S3Dags(), "image": OWN_IMAGE},
    "s3-build": {"dags": S3Dags(prefix="team/", bucket=BUCKET), "image": BUILT},
    "image-registry": {"dags": ImageDags(), "image": OWN_IMAGE},
    "image-build": {"dags": ImageDags(), "image": BUILT},
}
ETL = EcsTask(name="etl")
MATRIX = list(itertools.product(VERSIONS, EXECUTORS, DATABASES, CODE))
# Executors that require a newer release, with the text of the error.
NEEDS = {"lambda": "LambdaExecutor needs Airflow 2.11", "several": "SeveralExecutors requires Airflow 2.10"}
REFUSED = {
    (line, name): f"{NEEDS[name]} or newer, got {VERSIONS[line]}" for name, lines in LACKING.items() for line in lines
}
PLANNED = [row for row in MATRIX if row[:2] not in REFUSED]
SAME_PLAN = ("s3-registry", "image-build")
CELLS = pytest.mark.parametrize(("line", "executor"), ACCEPTED)


def make(line: str, executor: str, database: str, code: str) -> ClusterPlan:
    """Plan one combination of the matrix."""
    return plan(line, executor, database=DATABASES[database], ecs_tasks=(ETL,), **CODE[code])


def cells(line: str, executor: str) -> Iterator[tuple[str, str, Component]]:
    """Yield the components of one release and executor, with the keys of DATABASES and CODE."""
    for database, code in itertools.product(DATABASES, CODE):
        for component in make(line, executor, database, code).components:
            yield database, code, component


def symbols(node: Any) -> Iterator[Ref | SecretRef]:
    """Yield every value inside *node* that is known only at deploy time."""
    match node:
        case Ref() | SecretRef():
            yield node
        case Json(tree):
            yield from symbols(tree)
        case Mapping():
            yield from symbols(list(node.values()))
        case list() | tuple():
            for part in node:
                yield from symbols(part)


def offered(line: str, executor: str, database: str, code: str) -> set[Ref | SecretRef]:
    """Return every deploy-time value that the stores of one combination provide."""
    context = ExecutorContext(version=VERSIONS[line])
    stores = [DATABASES[database], CODE[code]["dags"], S3Logs(), Web()]
    executors = EXECUTORS[executor].plan(context)
    stores += executors.stores.values()
    stores += [part for store in stores for part in store.parts().values()]
    rows = {**ALWAYS, **(SINCE_3 if VERSIONS[line].major >= 3 else {})}
    rows["TaskCluster"] = rows["Cluster"]  # the ECS cluster in which the ECS task ETL runs
    rows |= dict.fromkeys((ETL.component, *(task.process.component for task in executors.tasks)), (STARTED, ()))
    rows |= {name: (attributes, fields) for name, attributes, fields in (OFFERS[type(store)] for store in stores)}
    return {Ref(name, attribute) for name, (attributes, _) in rows.items() for attribute in attributes} | {
        SecretRef(name, field) for name, (_, fields) in rows.items() for field in fields
    }


@CELLS
def test_every_airflow_variable_is_an_option_of_the_release(line, executor):
    """Misspelt options have no effect."""
    for database, code, component in cells(line, executor):
        for container in component.containers:
            for name in container.environment:
                if match := re.fullmatch(r"AIRFLOW__([A-Z0-9_]+?)__([A-Z0-9_]+)", name):
                    option = match[1].lower(), match[2].lower()
                    assert exists(option, line), f"{database}, {code}, {container.name}: {name}"
                else:
                    assert not name.startswith("AIRFLOW__")


@CELLS
def test_every_value_in_a_plan_is_text_or_provided_by_a_store(line, executor):
    """Values of other types could not be rendered."""
    for database, code, component in cells(line, executor):
        found = list(symbols([(p.resources, p.conditions) for p in component.permissions]))
        found += [ref for v in component.volumes for ref in (v.file_system_id, v.access_point_id)]
        for container in component.containers:
            for value in (*container.environment.values(), *container.prefix, *container.command):
                assert isinstance(value, str | Ref | SecretRef | Json), f"{container.name}: {value!r}"
            found += symbols([container.environment, container.prefix, container.command])
        assert set(found) <= offered(line, executor, database, code), f"{database}, {code}, {component.name}"


@CELLS
def test_source_and_target_of_each_edge_are_in_the_plan(line, executor):
    """Source and target of each permitted connection are in the plan."""
    for database, code in itertools.product(DATABASES, CODE):
        planned = make(line, executor, database, code)
        ends = {component.name for component in planned.components} | {"Clients", "Web", "Database", "Broker"}
        ends |= {ref.file_system_id.of for component in planned.components for ref in component.volumes}
        assert {end for edge in planned.edges for end in (edge.source, edge.target)} <= ends, f"{database}, {code}"


@CELLS
def test_equal_arguments_give_equal_plans(line, executor):
    """Planning twice with equal arguments gives equal plans."""
    for database, code in itertools.product(DATABASES, CODE):
        assert make(line, executor, database, code) == make(line, executor, database, code)


@pytest.mark.parametrize(("line", "executor"), REFUSED)
def test_the_error_of_an_unsupported_combination_has_the_required_release(line, executor):
    """The error of an unsupported combination has the required release."""
    with pytest.raises(ValueError, match=re.escape(REFUSED[line, executor])):
        make(line, executor, "rds", "s3-official")


@pytest.mark.parametrize("line", VERSIONS)
def test_image_dags_require_an_image_argument(line):
    """The official image contains no DAGs, so ImageDags requires image=."""
    for image in (None, type(OWN_IMAGE).official(architecture="arm64")):
        with pytest.raises(ValueError, match="requires an image with your DAGs"):
            plan(line, dags=ImageDags(), image=image)


def test_plans_differ_by_executor_dag_source_and_image():
    """Plans of one release differ by executor, DAG source and image."""
    for line in VERSIONS:
        # The plan contains neither the name of a registry image nor the content of a built one.
        rows = [row for row in PLANNED if row[0] == line and row[2] == "rds" and row[3] not in SAME_PLAN]
        plans = [make(*row) for row in rows if row[1] != "existing-redis"]
        repeated = [a for a, b in itertools.combinations(plans, 2) if a == b]
        # In plans of 2.x, Ref("Dags", "uri") includes the prefix, so plans that differ only in the prefix are equal.
        assert len(repeated) == (len(plans) // 3 if line[0] == "2" else 0)


def test_all_combinations_are_planned_in_ten_seconds():
    """The limit of ten seconds is CPU time."""
    start = time.process_time()
    for row in PLANNED:
        make(*row)
    assert len(PLANNED) == len(ACCEPTED) * len(DATABASES) * len(CODE) == 1180
    assert time.process_time() - start < 10


def test_a_plan_test_that_calls_cdk_fails():
    """In this folder, a fixture fails each test that calls CDK's kernel."""
    from aws_cdk import Token

    with pytest.raises(AssertionError, match="must not ask CDK"):
        Token.as_string(1)
