"""Two executors: short tasks start immediately on a Celery worker, heavy ones each in a Fargate task."""

from pathlib import Path

from aws_cdk import Annotations, App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, CeleryExecutor, EcsExecutor, S3Dags, SeveralExecutors

app = App()
stack = Stack(app, "Mixed")
airflow = AirflowCluster(
    stack,
    "Airflow",
    version=AirflowVersion.V3_3,
    executor=SeveralExecutors(
        [
            CeleryExecutor(),  # the first executor runs every task that names none
            EcsExecutor(cpu=4096, memory_mib=16384, ephemeral_storage_gib=100),
        ]
    ),
    dags=S3Dags(Path(__file__).parent / "dags"),
)
# Docker Hub allows a hundred pulls in six hours. For more heavy tasks, copy the image to ECR:
# docs/guides/dags/registries.md.
Annotations.of(airflow).acknowledge_warning("cdk-airflow-ecs:docker-hub-pulls:airflow", "Heavy tasks are few.")
app.synth()
