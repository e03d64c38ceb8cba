"""The quickstart, whose release, image and removal policy can be set by environment variables."""

import os

from aws_cdk import App, RemovalPolicy, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion
from cdk_airflow_ecs.images.airflow_image import AirflowImage

image = os.environ.get("TEST_IMAGE")
app = App()
AirflowCluster(
    Stack(app, "Quickstart"),
    "Airflow",
    version=AirflowVersion.of(os.environ.get("TEST_VERSION", "3.3.2")),
    image=AirflowImage.registry(image) if image else None,
    removal_policy=RemovalPolicy.DESTROY if os.environ.get("TEST_DESTROY") else None,
)
app.synth()
