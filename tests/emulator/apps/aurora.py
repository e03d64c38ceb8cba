"""The Aurora example with changed readers, capacity and storage, and with task logs in CloudWatch Logs."""

import os

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, AuroraDatabase, CloudWatchLogs

app = App()
AirflowCluster(
    Stack(app, "Aurora"),
    "Airflow",
    version=AirflowVersion.V3_3,
    database=AuroraDatabase(max_capacity=16, readers=int(os.environ["TEST_READERS"]), io_optimized=True),
    logs=CloudWatchLogs(retention_days=30),
)
app.synth()
