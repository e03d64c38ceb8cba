"""A custom image: Python and Debian packages, a plugin, options and DAGs from one directory, built by CDK."""

from pathlib import Path

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowImage, AirflowVersion, ImageDags, LocalExecutor, RdsDatabase

app = App()
AirflowCluster(
    Stack(app, "Reports"),
    "Airflow",
    version=AirflowVersion.V3_3,
    image=AirflowImage.build(Path(__file__).parent / "airflow"),
    executor=LocalExecutor(),
    database=RdsDatabase(multi_az=False),
    dags=ImageDags(),
)

app.synth()
