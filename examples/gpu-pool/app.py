"""A pool of workers with one GPU each, on ECS Managed Instances."""

from pathlib import Path

from aws_cdk import App, Stack

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowVersion,
    CeleryExecutor,
    ManagedInstances,
    QueueScaling,
    RdsDatabase,
    S3Dags,
    WorkerPool,
)

app = App()
stack = Stack(app, "Gpu")
AirflowCluster(
    stack,
    "Airflow",
    version=AirflowVersion.V3_3,
    executor=CeleryExecutor(
        pools=[
            WorkerPool("default"),
            # A g6.xlarge has 4 vCPU, 16 GiB and one GPU; its system needs the rest. One task at a time has the GPU.
            WorkerPool(
                "gpu",
                cpu=3584,
                memory_mib=12288,
                concurrency=1,
                scaling=QueueScaling(max_count=4),
                capacity=ManagedInstances(name="gpu", gpu=1, instance_types=["g6.xlarge", "g6.2xlarge"]),
            ),
        ]
    ),
    database=RdsDatabase(multi_az=False),
    dags=S3Dags(Path(__file__).parent / "dags"),
)

app.synth()
