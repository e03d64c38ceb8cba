"""Your own containers, each started by a DAG as a Fargate task with ``EcsRunTaskOperator``."""

from pathlib import Path

from aws_cdk import App, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_ssm as ssm

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, LocalExecutor, RdsDatabase, S3Dags

app = App()
stack = Stack(app, "Operator")
airflow = AirflowCluster(
    stack,
    "Airflow",
    version=AirflowVersion.V3_3,
    executor=LocalExecutor(),  # Airflow's own tasks only wait for containers
    database=RdsDatabase(multi_az=False),
    dags=S3Dags(Path(__file__).parent / "dags"),
)

key = ssm.StringParameter.from_secure_string_parameter_attributes(stack, "ApiKey", parameter_name="/etl/api-key")
etl = airflow.add_ecs_task(
    "etl",
    image=ecs.ContainerImage.from_registry("public.ecr.aws/docker/library/python:3.13-slim"),
    entrypoint=["python", "-c"],
    command=["print('nothing to load')"],
    cpu=4096,
    memory_mib=16384,
    ephemeral_storage_gib=100,
    spot=True,
    environment={"STAGE": "production", "API_KEY": ecs.Secret.from_ssm_parameter(key)},
)
alerts = sns.Topic.from_topic_arn(stack, "Alerts", f"arn:aws:sns:{stack.region}:{stack.account}:data-alerts")
alerts.grant_publish(etl)  # only this ECS task, not DAGs

# Without image=, the task runs the cluster's image, with its Python packages.
airflow.add_ecs_task("nightly-report", command=["python", "-c", "print('reported')"])

app.synth()
