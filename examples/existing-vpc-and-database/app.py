"""Airflow with the VPC and the PostgreSQL database of another stack, and with DAGs in your own image."""

from aws_cdk import Acknowledgment, App, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds
from constructs import Construct

from cdk_airflow_ecs import AirflowCluster, AirflowImage, AirflowVersion, ExistingDatabase, ImageDags


class Network(Stack):
    """The network and the database that your organisation already has."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.vpc = ec2.Vpc(self, "Vpc", max_azs=2, nat_gateways=1)
        self.vpc.add_flow_log("FlowLog")
        self.database = rds.DatabaseInstance(
            self,
            "Database",
            engine=rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.of("17.10", "17")),
            vpc=self.vpc,
            database_name="airflow",
            credentials=rds.Credentials.from_generated_secret("airflow"),
            multi_az=True,
            storage_encrypted=True,
            deletion_protection=True,
            removal_policy=RemovalPolicy.SNAPSHOT,
        )
        for rule, reason in (
            ("SMG4", "ECS reads secrets when a task starts: a rotation without a restart is an outage"),
            ("RDS11", "The security group admits only Airflow's own components"),
        ):
            Validations.of(self.database).acknowledge(
                Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason)
            )


app = App()
network = Network(app, "Network")
data = Stack(app, "Data")
airflow = AirflowCluster(
    data,
    "Airflow",
    version=AirflowVersion.V3_3,
    vpc=network.vpc,
    database=ExistingDatabase(network.database),
    dags=ImageDags(),
    image=AirflowImage.registry("ghcr.io/example/airflow:3.3.2-1"),
)
app.synth()
