"""The Aurora example with changed release, readers, capacity and storage, and with task logs in CloudWatch Logs."""

import os

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, AuroraDatabase, CloudWatchLogs

app = App()
AirflowCluster(
    Stack(app, "Aurora"),
    "Airflow",
    version=AirflowVersion.of(os.environ.get("TEST_VERSION", "3.3.2")),
    database=AuroraDatabase(max_capacity=16, readers=int(os.environ["TEST_READERS"]), io_optimized=True),
    logs=CloudWatchLogs(retention_days=30),
)
app.synth()
