"""A cluster with Celery and the ECS executor on Fargate Spot."""

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, CeleryExecutor, EcsExecutor, SeveralExecutors

app = App()
AirflowCluster(
    Stack(app, "Executors"),
    "Airflow",
    version=AirflowVersion.V3_3,
    executor=SeveralExecutors([CeleryExecutor(), EcsExecutor(spot=True, ephemeral_storage_gib=50)]),
)
app.synth()
