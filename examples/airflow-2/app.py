"""A minimal Airflow 2: tasks run inside the scheduler, without workers or a broker."""

from aws_cdk import App, RemovalPolicy, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, LocalExecutor, RdsDatabase, Service

app = App()
stack = Stack(app, "Airflow2")
AirflowCluster(
    stack,
    "Airflow",
    version=AirflowVersion.V2_11,
    executor=LocalExecutor(parallelism=4),
    database=RdsDatabase(instance_class="db.t4g.micro", multi_az=False),
    scheduler=Service(cpu=1024, memory_mib=2048, ephemeral_storage_gib=50),
    config={"logging": {"logging_level": "DEBUG"}},
    environment={"STAGE": "dev"},
    enable_exec=True,
    removal_policy=RemovalPolicy.DESTROY,
)
app.synth()
