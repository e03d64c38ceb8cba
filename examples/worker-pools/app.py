"""Four pools of Celery workers: two passed to the executor, and two added later."""

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
            WorkerPool("default", count=2),  # runs tasks that name no queue
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

# Equivalent to the list above, for code that receives an existing cluster.
airflow.add_worker_pool(WorkerPool("cheap", spot=True, environment={"STAGE": "production"}))
airflow.add_worker_pool(WorkerPool("arm", architecture="arm64"))

app.synth()
