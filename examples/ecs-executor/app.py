"""Each task as its own Fargate task: no broker, no workers, and no cost for tasks while none runs."""

from pathlib import Path

from aws_cdk import Annotations, App, Stack
from aws_cdk import aws_sns as sns

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, EcsExecutor, RdsDatabase, S3Dags

app = App()
stack = Stack(app, "Nightly")
airflow = AirflowCluster(
    stack,
    "Airflow",
    version=AirflowVersion.V3_3,
    executor=EcsExecutor(cpu=1024, memory_mib=2048, spot=True, environment={"STAGE": "production"}),
    database=RdsDatabase(multi_az=False),
    dags=S3Dags(Path(__file__).parent / "dags"),
)
alerts = sns.Topic.from_topic_arn(stack, "Alerts", f"arn:aws:sns:{stack.region}:{stack.account}:data-alerts")
alerts.grant_publish(airflow)  # to tasks of the ECS executor, and to the other components that run DAG code
# Docker Hub allows a hundred pulls in six hours. For more tasks, copy the image to ECR: docs/guides/dags/registries.md.
Annotations.of(airflow).acknowledge_warning("cdk-airflow-ecs:docker-hub-pulls:airflow", "Few tasks run each night.")

app.synth()
