"""The example with Aurora after some changes: another number of readers, more capacity, another kind of storage."""

import os

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, AuroraDatabase

app = App()
AirflowCluster(
    Stack(app, "Aurora"),
    "Airflow",
    version=AirflowVersion.V3_3,
    database=AuroraDatabase(max_capacity=16, readers=int(os.environ["TEST_READERS"]), io_optimized=True),
)
app.synth()
