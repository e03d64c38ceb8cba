"""Celery over SQS: no broker to patch, a queue for each pool, and workers without a database login."""

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, CeleryExecutor, RdsDatabase, SqsBroker, WorkerPool

app = App()
airflow = AirflowCluster(
    Stack(app, "Queues"),
    "Airflow",
    version=AirflowVersion.V3_3,
    executor=CeleryExecutor(
        broker=SqsBroker(),
        pools=[
            WorkerPool("default"),
            WorkerPool("heavy", cpu=4096, memory_mib=16384, concurrency=4, spot=True),
        ],
    ),
    database=RdsDatabase(multi_az=False),
)

app.synth()
