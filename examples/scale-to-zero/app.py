"""Worker pools that follow their queues: from zero, and back to zero."""

from pathlib import Path

from aws_cdk import App, Stack

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowVersion,
    CeleryExecutor,
    QueueScaling,
    RdsDatabase,
    S3Dags,
    ScalingSchedule,
    WorkerPool,
)

app = App()
stack = Stack(app, "Scaled")
AirflowCluster(
    stack,
    "Airflow",
    version=AirflowVersion.V3_3,
    executor=CeleryExecutor(
        pools=[
            # One worker in office hours, so that tasks start at once; otherwise none without tasks.
            WorkerPool(
                "default",
                scaling=QueueScaling(
                    max_count=5,
                    schedules=[
                        ScalingSchedule(
                            "office", when="cron(0 7 ? * MON-FRI *)", min_count=1, time_zone="Europe/Berlin"
                        ),
                        ScalingSchedule(
                            "evening", when="cron(0 19 ? * MON-FRI *)", min_count=0, time_zone="Europe/Berlin"
                        ),
                    ],
                ),
            ),
            WorkerPool(
                "nightly",
                cpu=2048,
                memory_mib=4096,
                spot=True,
                scaling=QueueScaling(max_count=20),
            ),
        ]
    ),
    database=RdsDatabase(multi_az=False),
    dags=S3Dags(Path(__file__).parent / "dags"),
)

app.synth()
