"""Celery workers of four kinds: two that the executor is given, and two that are added later."""

from pathlib import Path

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, CeleryExecutor, RdsDatabase, S3Dags, WorkerPool

app = App()
stack = Stack(app, "Pools")
airflow = AirflowCluster(
    stack,
    "Airflow",
    version=AirflowVersion.V3_3,
    executor=CeleryExecutor(
        pools=[
            WorkerPool("default", count=2),  # whatever names no queue
            WorkerPool(
                "heavy",
                queues=["heavy", "training"],
                cpu=4096,
                memory_mib=16384,
                concurrency=2,
                ephemeral_storage_gib=100,
            ),
        ]
    ),
    database=RdsDatabase(multi_az=False),
    dags=S3Dags(Path(__file__).parent / "dags"),
)

# The same as in the list above, for code that gets the cluster from somewhere else.
airflow.add_worker_pool(WorkerPool("cheap", spot=True, environment={"STAGE": "production"}))
airflow.add_worker_pool(WorkerPool("arm", architecture="arm64"))

app.synth()
