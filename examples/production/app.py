"""A cluster for a team: HTTPS with a domain name, standbys, replicas, and an upload of DAGs at each deploy."""

from pathlib import Path

from aws_cdk import App, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowVersion,
    CeleryExecutor,
    DatabaseCleanup,
    RdsDatabase,
    RedisBroker,
    S3Dags,
    S3Logs,
    Service,
    Web,
    WorkerPool,
)

HERE = Path(__file__).parent


class Platform(Stack):
    """The data platform."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id="Z0123456789EXAMPLE", zone_name="data.example.com"
        )
        certificate = acm.Certificate(
            self,
            "Certificate",
            domain_name="airflow.data.example.com",
            validation=acm.CertificateValidation.from_dns(zone),
        )
        alerts = sns.Topic.from_topic_arn(self, "Alerts", f"arn:aws:sns:{self.region}:{self.account}:data-alerts")
        airflow = AirflowCluster(
            self,
            "Airflow",
            version=AirflowVersion.V3_3,
            executor=CeleryExecutor(
                broker=RedisBroker(node_type="cache.t4g.small", replicas=1),
                pools=[
                    WorkerPool("default", count=2),
                    WorkerPool("heavy", cpu=4096, memory_mib=16384, ephemeral_storage_gib=100),
                ],
            ),
            database=RdsDatabase(
                instance_class="db.m7g.large", backup_retention_days=14, max_allocated_storage_gib=500
            ),
            dags=S3Dags(HERE / "dags"),
            logs=S3Logs(expire_days=365),
            web=Web(
                certificate=certificate,
                domain_name="airflow.data.example.com",
                hosted_zone=zone,
                internet_facing=True,
                allow_from=[ec2.Peer.ipv4("203.0.113.0/24")],
            ),
            config={"core": {"parallelism": 128, "max_active_tasks_per_dag": 32}},
            api_server=Service(count=2),
            scheduler=Service(count=2),
            triggerer=Service(cpu=1024, memory_mib=2048),
            maintenance_tasks=[DatabaseCleanup(keep_days=180, schedule="cron(0 3 ? * SUN *)")],
        )
        alerts.grant_publish(airflow)  # DAGs may publish: on workers, triggerer and DAG processor


app = App()
Platform(app, "Platform")
app.synth()
