"""Metadata in Aurora Serverless v2: capacity that follows the load, and a reader that takes over on failure."""

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, AuroraDatabase

app = App()
AirflowCluster(
    Stack(app, "Aurora"),
    "Airflow",
    version=AirflowVersion.V3_3,
    database=AuroraDatabase(min_capacity=0.5, max_capacity=8, readers=1),
)

app.synth()
