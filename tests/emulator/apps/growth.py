"""A cluster with ECS tasks, one of them on Fargate Spot, and an additional worker pool."""

from aws_cdk import App, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ssm as ssm

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, WorkerPool

app = App()
stack = Stack(app, "Growth")
airflow = AirflowCluster(stack, "Airflow", version=AirflowVersion.V3_3)
key = ssm.StringParameter.from_secure_string_parameter_attributes(stack, "Key", parameter_name="/etl/key")
airflow.add_ecs_task(
    "etl",
    image=ecs.ContainerImage.from_registry("python:3.13"),
    entrypoint=["python", "-c"],
    command=["print()"],
    ephemeral_storage_gib=50,
    spot=True,
    environment={"STAGE": "dev", "API_KEY": ecs.Secret.from_ssm_parameter(key)},
)
airflow.add_worker_pool(WorkerPool("cheap", spot=True, architecture="arm64"))
airflow.add_ecs_task("report", command=["python", "-c", "print()"])
app.synth()
