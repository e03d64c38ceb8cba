"""The compared clusters, each as an app: ``python clusters.py ours|near|wide|compose|seed|ours-2``.

docs/concepts/benchmarks-run.md describes them and the sources of their values.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aws_cdk import App, Stack

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowImage,
    AirflowVersion,
    CeleryExecutor,
    ContainerDatabase,
    ImageDags,
    LocalLogs,
    Service,
    WorkerPool,
)
from cdk_airflow_ecs.brokers.base import BrokerPlan
from cdk_airflow_ecs.brokers.redis_container import ContainerRedisBroker

WORKLOAD = Path(__file__).parent / "workload"
# Airflow's own defaults for options that this library sets: config.yml of 3.3.2 and of celery provider 3.24.0.
AIRFLOW_DEFAULTS = {
    "api": {"workers": 1},
    "celery": {"operation_timeout": 1},
    "database": {"check_migrations": True},
    "execution_api": {"jwt_expiration_time": 600},
    "logging": {"delete_local_logs": False},
    "scheduler": {"task_queued_timeout": 600},
    "workers": {"execution_api_retries": 5, "execution_api_retry_wait_max": 90},
}
_SEED = Service(cpu=512, memory_mib=1024, count=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeBroker(ContainerRedisBroker):
    """Redis with Celery's default transport options, and results in the metadata database."""

    def plan(self, version: AirflowVersion, queues: Sequence[str]) -> BrokerPlan:
        """Remove this library's broker options except the broker's URL."""
        plan, database = ContainerRedisBroker.plan(self, version, queues), ContainerDatabase()
        command = str(database.config()["database", "sql_alchemy_conn_cmd"])
        config = {
            ("celery", "broker_url_cmd"): plan.config["celery", "broker_url_cmd"],
            ("celery", "result_backend_cmd"): command.replace("postgresql+psycopg2:", "db+postgresql:"),
        }
        return replace(plan, config=config, environment={**plan.environment, **database.environment()})


def ours(stack: Stack) -> None:
    AirflowCluster(stack, "Airflow", version=AirflowVersion.V3_3)


def near(stack: Stack, **arguments: Any) -> None:
    """Use the library's defaults with DAGs and logs on the worker's disk, as in docker-compose.yaml."""
    AirflowCluster(
        stack,
        "Airflow",
        version=AirflowVersion.V3_3,
        dags=ImageDags(),
        image=AirflowImage.build(WORKLOAD),
        logs=LocalLogs(),
        **arguments,
    )


def wide(stack: Stack) -> None:
    """Use the cluster of `near` with 16 tasks per worker instead."""
    near(stack, executor=CeleryExecutor(pools=[WorkerPool("default", concurrency=16)]))


def ours_2(stack: Stack) -> None:
    """Use the library's defaults with Airflow 2."""
    AirflowCluster(stack, "Airflow", version=AirflowVersion.V2_11)


def compose(stack: Stack) -> None:
    """Use Airflow's defaults, as in its docker-compose.yaml."""
    AirflowCluster(
        stack,
        "Airflow",
        version=AirflowVersion.V3_3,
        executor=CeleryExecutor(broker=ComposeBroker(), pools=[WorkerPool("default", concurrency=16)]),
        database=ContainerDatabase(image="public.ecr.aws/docker/library/postgres:16"),
        dags=ImageDags(),
        image=AirflowImage.build(WORKLOAD),
        logs=LocalLogs(),
        config=AIRFLOW_DEFAULTS,
    )


def seed(stack: Stack) -> None:
    """Use half a vCPU and 1 GiB for each component, no triggerer, and Airflow's defaults."""
    pool = WorkerPool("default", cpu=512, memory_mib=1024, concurrency=16)
    AirflowCluster(
        stack,
        "Airflow",
        version=AirflowVersion.V3_3,
        executor=CeleryExecutor(broker=ComposeBroker(), pools=[pool]),
        database=ContainerDatabase(image="public.ecr.aws/docker/library/postgres:14"),
        dags=ImageDags(),
        image=AirflowImage.build(WORKLOAD),
        logs=LocalLogs(),
        config=AIRFLOW_DEFAULTS,
        api_server=_SEED,
        scheduler=_SEED,
        dag_processor=_SEED,
        triggerer=replace(_SEED, count=0),
    )


CLUSTERS = {"ours": ours, "near": near, "wide": wide, "compose": compose, "seed": seed, "ours-2": ours_2}

if __name__ == "__main__":
    app = App()
    CLUSTERS[sys.argv[1]](Stack(app, "Benchmark"))
    app.synth()
