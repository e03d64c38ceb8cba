"""A cluster whose ECS executor runs tasks on ECS Managed Instances."""

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowImage, AirflowVersion, EcsExecutor, ManagedInstances

app = App()
AirflowCluster(
    Stack(app, "Machines"),
    "Airflow",
    version=AirflowVersion.V3_3,
    image=AirflowImage.registry("ghcr.io/acme/airflow@sha256:" + "0" * 64),
    executor=EcsExecutor(capacity=ManagedInstances(name="gpu", gpu=1, instance_types=["g6.*"], storage_gib=100)),
)
app.synth()
