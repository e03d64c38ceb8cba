"""Wrong arguments raise an error before the first construct exists; unusual ones synthesize correctly."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import jsii
import pytest
from aws_cdk import App, CfnParameter, Fn, IStableStringProducer, Lazy, RemovalPolicy, SecretValue, Stack, Token
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk.assertions import Template

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowImage,
    AirflowVersion,
    AuroraDatabase,
    CeleryExecutor,
    CloudWatchLogs,
    ContainerDatabase,
    EcsExecutor,
    ExistingDatabase,
    HealthCheck,
    ImageDags,
    LocalExecutor,
    LocalLogs,
    RdsDatabase,
    RedisBroker,
    S3Dags,
    S3Logs,
    Service,
    SeveralExecutors,
    SqsBroker,
    Web,
    WorkerPool,
)
from cdk_airflow_ecs.subnets import check_network
from synthesis import env, resources, template_of

Build = Callable[[Stack], dict[str, Any]]


def pool(name: Any = "default", **arguments: Any) -> dict[str, Any]:
    """Return cluster arguments with one worker pool."""
    return {"executor": CeleryExecutor(pools=[WorkerPool(name, **arguments)])}


def secret(stack: Stack) -> secretsmanager.ISecret:
    """Return an imported secret."""
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:s-AbCdEf"
    return secretsmanager.Secret.from_secret_complete_arn(stack, "Secret", arn)


def number(stack: Stack) -> float:
    """Return a number parameter."""
    return CfnParameter(stack, "Number", type="Number").value_as_number


def certificate(stack: Stack) -> acm.ICertificate:
    """Return an imported certificate."""
    arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    return acm.Certificate.from_certificate_arn(stack, "Certificate", arn)


ZONES = ("eu-central-1a", "eu-central-1b")


def vpc(stack: Stack, *, zones: Sequence[str] = ZONES, cidr: str | None = "10.0.0.0/16", **subnets: int) -> ec2.IVpc:
    """Return an imported VPC with a private subnet in each of *zones*, or the given number of *subnets* per kind."""
    ids = {
        f"{kind}_subnet_ids": [f"subnet-{kind}-{n}" for n in range(number)]
        for kind, number in (subnets or {"private": len(zones)}).items()
    }
    return ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", vpc_cidr_block=cidr, availability_zones=[*zones], **ids
    )


def new_vpc(stack: Stack, construct_id: str = "Vpc", **arguments: Any) -> ec2.Vpc:
    """Return a VPC that the same app creates."""
    return ec2.Vpc(stack, construct_id, **arguments)


def postgres(stack: Stack, **arguments: Any) -> rds.DatabaseInstance:
    """Return an RDS instance that the same app creates."""
    return rds.DatabaseInstance(
        stack, "Db", **{"engine": rds.DatabaseInstanceEngine.POSTGRES, "vpc": new_vpc(stack), **arguments}
    )


def existing(stack: Stack) -> ExistingDatabase:
    """Return a database that is known only by its endpoint."""
    return ExistingDatabase(endpoint="db.example.com", secret=secret(stack))


PRIVATE = ec2.SubnetType.PRIVATE_WITH_EGRESS
PUBLIC = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
IN_ONE_ZONE = ec2.SubnetSelection(availability_zones=[ZONES[0]])
IN_CONTAINERS = {"database": ContainerDatabase(), "executor": CeleryExecutor(broker=RedisBroker.container())}
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
# For each case: a function that returns the arguments, and a pattern of the error.
REFUSED: dict[str, tuple[Build, str]] = {
    # --- wrong types: a class, text or a list instead of an object
    "version as text": (lambda s: {"version": "3.3"}, r"version= must be an AirflowVersion such as .*V3_3, got '3.3'"),
    "version as a number": (lambda s: {"version": 3.3}, "version= must be an AirflowVersion .*got 3.3"),
    "executor as a class": (
        lambda s: {"executor": CeleryExecutor},
        r"executor= must be an Executor .*CeleryExecutor\(…\)",
    ),
    "executor as text": (lambda s: {"executor": "celery"}, r"executor= must be an Executor such as CeleryExecutor\(\)"),
    "a broker as executor": (lambda s: {"executor": RedisBroker()}, "executor= must be an Executor"),
    "database as a class": (lambda s: {"database": RdsDatabase}, r"create an object: RdsDatabase\(…\)"),
    "database as a URL": (lambda s: {"database": "postgresql://db"}, "database= must be a Database such as"),
    "an RDS instance as database": (
        lambda s: {
            "database": rds.DatabaseInstance.from_database_instance_attributes(
                s,
                "Db",
                instance_identifier="db",
                instance_endpoint_address="db.example.com",
                port=5432,
                security_groups=[],
            )
        },
        "database= must be a Database such as",
    ),
    "dags as text": (lambda s: {"dags": "dags/"}, r"dags= must be a DagSource such as S3Dags\(\), got 'dags/'"),
    "image as text": (lambda s: {"image": "apache/airflow:3.3.2"}, "image= must be an AirflowImage"),
    "an ECS image as image": (
        lambda s: {"image": ecs.ContainerImage.from_registry("apache/airflow:3.3.2")},
        "image= must be an AirflowImage",
    ),
    "logs as a bucket": (lambda s: {"logs": s3.Bucket.from_bucket_name(s, "B", "bucket")}, "logs= must be a LogStore"),
    "local logs with the ECS executor": (
        lambda s: {"logs": LocalLogs(), "executor": EcsExecutor()},
        r"logs=LocalLogs\(\) cannot be used with executor=EcsExecutor\(…\).*logs=S3Logs\(\)",
    ),
    "several executors for an old Airflow": (
        lambda s: {
            "version": AirflowVersion.V2_9,
            "executor": SeveralExecutors([CeleryExecutor(), EcsExecutor()]),
        },
        "SeveralExecutors requires Airflow 2.10 or newer, got 2.9.3",
    ),
    "web as a boolean": (lambda s: {"web": True}, r"web= must be a Web such as Web\(\), got True"),
    "vpc as text": (
        lambda s: {"vpc": "vpc-0abc"},
        r"vpc= must be an ec2.IVpc, such as ec2.Vpc.from_lookup.*'vpc-0abc'",
    ),
    "vpc as a class": (lambda s: {"vpc": ec2.Vpc}, r"vpc= must be an ec2.IVpc.*create an object: Vpc\(…\)"),
    "subnets as a list": (lambda s: {"task_subnets": ["subnet-1"]}, r"task_subnets= must be a SubnetSelection such as"),
    "subnets as a type": (
        lambda s: {"store_subnets": ec2.SubnetType.PUBLIC},
        r"store_subnets= must be a SubnetSelection such as ec2.SubnetSelection\(",
    ),
    "web subnets as a mapping": (lambda s: {"web_subnets": {"subnetType": "Public"}}, "web_subnets= must be a Subnet"),
    "key as text": (lambda s: {"encryption_key": "alias/key"}, "encryption_key= must be a kms.IKey, got 'alias/key'"),
    "key as a class": (lambda s: {"encryption_key": kms.Key}, "encryption_key= must be a kms.IKey"),
    "removal policy as text": (
        lambda s: {"removal_policy": "destroy"},
        "removal_policy= must be RemovalPolicy.DESTROY",
    ),
    "an unsupported removal policy": (
        lambda s: {"removal_policy": RemovalPolicy.SNAPSHOT},
        "removal_policy= must be RemovalPolicy.DESTROY or RemovalPolicy.RETAIN.* Omit it",
    ),
    "config as text": (lambda s: {"config": "[core]\nparallelism=64"}, "config must map sections to options"),
    "config as an empty list": (lambda s: {"config": []}, "config must map sections to options, got list"),
    "a section as text": (lambda s: {"config": {"core": "parallelism=64"}}, r"config\['core'\] must map options"),
    "an option as a list": (lambda s: {"config": {"core": {"parallelism": [64]}}}, "pass text, such as json.dumps"),
    "an option as None": (lambda s: {"config": {"core": {"parallelism": None}}}, "omit it for Airflow's default"),
    "environment as a list": (lambda s: {"environment": ["STAGE=dev"]}, "environment= must map names to text"),
    "a variable as a list": (lambda s: {"environment": {"A": ["x"]}}, r"A must be text, a number or .* got a list"),
    "a variable as None": (lambda s: {"environment": {"A": None}}, "A must be text, a number or .* got None"),
    "a service as a mapping": (
        lambda s: {"scheduler": {"cpu": 512}},
        r"scheduler= must be a Service such as Service\(",
    ),
    "a service as a class": (lambda s: {"api_server": Service}, r"api_server= must be a Service .*Service\(…\)"),
    "exec as text": (lambda s: {"enable_exec": "yes"}, "enable_exec= .*True or False, got 'yes'"),
    "insights as text": (lambda s: {"container_insights": "no"}, "container_insights= .*True or False, got 'no'"),
    "maintenance as a number": (lambda s: {"maintenance": 1}, "maintenance= .*True or False, got 1"),
    "a health check as a list": (
        lambda s: {"triggerer": Service(health_check=["CMD", "true"])},
        "health_check must be a HealthCheck such as",
    ),
    "a health check's command as text": (
        lambda s: {"triggerer": Service(health_check=HealthCheck(command="true"))},
        r'HealthCheck command .*a list such as \["true"\], got \'true\'',
    ),
    "an empty health check": (lambda s: {"triggerer": Service(health_check=HealthCheck(command=[]))}, "list of words"),
    "a broker as text": (lambda s: {"executor": CeleryExecutor(broker="redis://r")}, "broker must be a Broker such as"),
    "pools as one pool": (
        lambda s: {"executor": CeleryExecutor(pools=WorkerPool("default"))},
        r"CeleryExecutor pools .*a list such as \[WorkerPool",
    ),
    "pools as names": (
        lambda s: {"executor": CeleryExecutor(pools=["default"])},
        "pools must be a WorkerPool .*'default'",
    ),
    "queues as text": (lambda s: pool(queues="default"), r'queues .*a list such as \["heavy"\], got \'default\''),
    "a bucket as text": (lambda s: {"dags": S3Dags(bucket="b")}, r"S3Dags bucket must be an s3.IBucket, such as"),
    "a log bucket as a class": (lambda s: {"logs": S3Logs(bucket=s3.Bucket)}, r"S3Logs bucket must be .*Bucket\(…\)"),
    "a certificate as text": (lambda s: {"web": Web(certificate="arn:aws:acm:…")}, "Web certificate must be an acm"),
    "clients as text": (lambda s: {"web": Web(allow_from="10.0.0.0/8")}, "Web allow_from .*a list such as"),
    "a repository as text": (
        lambda s: {"image": AirflowImage.ecr("airflow", "1")},
        "repository must be an ecr.IReposi",
    ),
    "an image name as a number": (
        lambda s: {"image": AirflowImage.registry(332)},
        "AirflowImage.registry name .*text such",
    ),
    "credentials as text": (
        lambda s: {"image": AirflowImage.registry("a", credentials="user:password")},
        "AirflowImage credentials must be a secretsmanager.ISecret",
    ),
    "an entry point as text": (
        lambda s: {"image": AirflowImage.registry("a", entrypoint="/entrypoint")},
        "AirflowImage entrypoint .*a list such as",
    ),
    # --- unknown names
    "an old Airflow": (lambda s: {"version": AirflowVersion.of("2.7.3")}, "Airflow 2.7.3 .* 2.8, .* 3.3"),
    "a future Airflow": (lambda s: {"version": AirflowVersion(4, 0, 0)}, "Airflow 4.0.0 .* 2.8, .* 3.3"),
    "an Airflow tag": (lambda s: {"version": AirflowVersion.of("latest")}, 'release such as "3.3.2", got'),
    "an unknown architecture": (
        lambda s: {"image": AirflowImage.official(architecture="arm")},
        '"x86_64" or "arm64", got',
    ),
    "an option in capitals": (lambda s: {"config": {"core": {"PARALLELISM": 64}}}, "in lower case"),
    "an option by its variable": (
        lambda s: {"config": {"core": {"AIRFLOW__CORE__PARALLELISM": 64}}},
        r'write config=\{"core": \{"parallelism": \.\.\.\}\}',
    ),
    "an incomplete option variable": (lambda s: {"environment": {"AIRFLOW__CORE": "x"}}, "AIRFLOW__SECTION__OPTION"),
    "a variable with a space": (lambda s: {"environment": {"A B": "x"}}, "'A…' is not a valid"),
    "a variable without a name": (lambda s: {"environment": {"": "x"}}, "'' is not a valid"),
    "an invalid pool name": (lambda s: pool("my pool"), "a worker pool's name must have .*got 'my pool'"),
    "an empty pool name": (lambda s: pool(""), "a worker pool's name must have"),
    "a pool without a name": (lambda s: pool(None), "a worker pool's name must have .*got None"),
    "an invalid queue name": (lambda s: pool(queues=["default", "a,b"]), "'a,b' is not a queue name"),
    "an invalid database class": (
        lambda s: {"database": RdsDatabase(instance_class="t4g.small")},
        "an RDS class such as",
    ),
    "an invalid TLS mode": (
        lambda s: {"database": ExistingDatabase(endpoint="db", secret=secret(s), ssl_mode="on")},
        "ssl_mode must be one of require, verify-ca",
    ),
    # --- impossible sizes and numbers
    "cpu in vCPU": (lambda s: {"scheduler": Service(cpu=1, memory_mib=2048)}, r"Scheduler: cpu=1 .* 256, 512, 1024"),
    "memory in GiB": (lambda s: {"scheduler": Service(cpu=512, memory_mib=1)}, "Scheduler: memory_mib=1 .*1024, 2048"),
    "memory as text": (
        lambda s: pool(memory_mib="2048"),
        "pool 'default': memory_mib='2048' is not compatible with cpu=1024",
    ),
    "cpu for the default memory": (
        lambda s: {"scheduler": Service(cpu=4096)},
        "memory_mib=2048 is not .* 8192 to 30720",
    ),
    "too little memory": (lambda s: pool(cpu=4096, memory_mib=4096), "is not compatible with cpu=4096"),
    "a disk too small": (lambda s: {"triggerer": Service(ephemeral_storage_gib=20)}, "Fargate accepts 21 to 200"),
    "a disk too large": (lambda s: pool(ephemeral_storage_gib=201), "Fargate accepts 21 to 200"),
    "a negative count": (lambda s: {"dag_processor": Service(count=-1)}, "count .*0 or more.*got -1"),
    "a fractional count": (lambda s: pool(count=1.5), "count .*0 or more.*got 1.5"),
    "zero concurrency": (lambda s: pool(concurrency=0), "concurrency .*1 or more.*got 0"),
    "zero parallelism": (
        lambda s: {"executor": LocalExecutor(parallelism=0)},
        "LocalExecutor parallelism .*1",
    ),
    "a small database": (
        lambda s: {"database": RdsDatabase(allocated_storage_gib=5)},
        "20 to 65536.*got 5",
    ),
    "a database that pauses": (
        lambda s: {"database": AuroraDatabase(min_capacity=0)},
        "min_capacity=0 would pause the database .*Airflow's scheduler",
    ),
    "capacity by parameter": (
        lambda s: {"database": AuroraDatabase(max_capacity=number(s))},
        "max_capacity must be a number of ACU, 1 to 256 in half steps; got a number known only at deploy time",
    ),
    "an RDS release for Aurora": (lambda s: {"database": AuroraDatabase(engine_version="13")}, 'such as "17"; got'),
    "no backups": (lambda s: {"database": RdsDatabase(backup_retention_days=0)}, "1 to 35.*got 0"),
    "a too frequent sync": (
        lambda s: {"dags": S3Dags(refresh_seconds=1)},
        "refresh_seconds .*5 or more.*got 1",
    ),
    "too many replicas": (
        lambda s: {"executor": CeleryExecutor(broker=RedisBroker(replicas=9))},
        "replicas .*0",
    ),
    "an invalid log retention": (
        lambda s: {"logs": CloudWatchLogs(retention_days=31)},
        "CloudWatchLogs retention_days must be one of 1, 3, 5, .*, or None; got 31",
    ),
    "a log group by its name": (
        lambda s: {"logs": CloudWatchLogs(log_group="airflow")},
        "CloudWatchLogs log_group must be a logs.ILogGroup, such as",
    ),
    "zero days of logs": (lambda s: {"logs": S3Logs(expire_days=0)}, "expire_days .*1 or more.*got 0"),
    # --- tokens where a number must be known
    "memory by parameter without concurrency": (lambda s: pool(memory_mib=number(s)), "Pass concurrency= too"),
    "database size by parameter": (
        lambda s: {"database": RdsDatabase(allocated_storage_gib=number(s))},
        "allocated_storage_gib must be an integer.* known only at deploy time",
    ),
    "cpu as a text parameter": (
        lambda s: {"scheduler": Service(cpu=CfnParameter(s, "Cpu").value_as_string)},
        "cpu=a text known only at deploy time .* is not a Fargate size",
    ),
    "a list token": (
        lambda s: {"config": {"core": {"parallelism": CfnParameter(s, "L", type="CommaDelimitedList").value_as_list}}},
        r"\[core\] parallelism must be .*got a list",
    ),
    # --- contradictions
    "DAGs in the official image": (lambda s: {"dags": ImageDags()}, r"requires an image with your DAGs"),
    "DAGs in the official image for Arm": (
        lambda s: {"dags": ImageDags(), "image": AirflowImage.official(architecture="arm64")},
        r"requires an image with your DAGs",
    ),
    "passwords over the internet": (lambda s: {"web": Web(internet_facing=True)}, "in plain text. Pass certificate="),
    "the internet without a list of clients": (
        lambda s: {"web": Web(internet_facing=True, certificate=certificate(s))},
        "requires allow_from=",
    ),
    "a zone without a name": (
        lambda s: {"web": Web(hosted_zone=route53.HostedZone.from_hosted_zone_id(s, "Zone", "Z1"))},
        "hosted_zone= requires domain_name=",
    ),
    "a PostgreSQL image without a tag": (
        lambda s: {"database": ContainerDatabase(image="public.ecr.aws/docker/library/postgres")},
        "ContainerDatabase image must include a release",
    ),
    "an old PostgreSQL image": (
        lambda s: {"database": ContainerDatabase(image="postgres:12")},
        "ContainerDatabase image must be PostgreSQL 13 to 18",
    ),
    "a database in a container, as a class": (
        lambda s: {"database": ContainerDatabase},
        r"create an object: ContainerDatabase\(…\)",
    ),
    "a broker in a container, as its method": (
        lambda s: {"executor": CeleryExecutor(broker=RedisBroker.container)},
        "broker must be a Broker such as",
    ),
    "a private Redis image": (
        lambda s: {"executor": CeleryExecutor(broker=RedisBroker.container(image=f"{REGISTRY}/redis:7"))},
        "RedisBroker.container image must be an image that requires no login",
    ),
    "an invalid container size": (
        lambda s: {"executor": CeleryExecutor(broker=RedisBroker.container(cpu=100))},
        "RedisBroker.container: cpu=100 is not a Fargate size",
    ),
    "serverless Redis": (lambda s: {"executor": CeleryExecutor(broker=RedisBroker(serverless=True))}, "CROSSSLOT"),
    "Redis in cluster mode": (
        lambda s: {"executor": CeleryExecutor(broker=RedisBroker(cluster_mode=True))},
        "CROSSSLOT",
    ),
    "SQS dead letters that never come": (
        lambda s: {"executor": CeleryExecutor(broker=SqsBroker(message_retention_days=1))},
        "message_retention_days=1: .* Use max_receive_count=1 or less",
    ),
    "an SQS retention by parameter": (
        lambda s: {"executor": CeleryExecutor(broker=SqsBroker(message_retention_days=number(s)))},
        "message_retention_days .*1 to 14.*got a number known only at deploy time",
    ),
    "a queue that looks like FIFO": (
        lambda s: {
            "executor": CeleryExecutor(broker=SqsBroker(), pools=[WorkerPool("a", queues=["default", "b.fifo"])])
        },
        "the queue 'b.fifo' is not supported",
    ),
    "two SQS queues with equal names": (
        lambda s: {
            "executor": CeleryExecutor(broker=SqsBroker(), pools=[WorkerPool("a", queues=["default", "b.c", "b-c"])])
        },
        "dots in queue names with hyphens",
    ),
    "a transport option of the cluster": (
        lambda s: {
            "executor": CeleryExecutor(broker=SqsBroker()),
            "config": {"celery_broker_transport_options": {"visibility_timeout": 86400}},
        },
        r"visibility_timeout is given twice: as '43200' by the executor, and as '86400' by config=",
    ),
    "no pool for the default queue": (lambda s: pool("heavy"), "no worker pool serves the queue 'default'"),
    "no pools": (lambda s: {"executor": CeleryExecutor(pools=[])}, "the pools serve nothing"),
    "a prefix without a bucket": (lambda s: {"dags": S3Dags(prefix="a/")}, "Pass bucket= too"),
    "two databases": (
        lambda s: {"database": ExistingDatabase(object(), endpoint="db", secret=secret(s))},
        "got both",
    ),
    "a database without credentials": (lambda s: {"database": ExistingDatabase(endpoint="db")}, "has no credentials"),
    "a disk that cannot grow": (
        lambda s: {"database": RdsDatabase(allocated_storage_gib=100)},
        "must be more than allocated_storage_gib=100",
    ),
    "config against the cluster": (
        lambda s: {"config": {"core": {"executor": "LocalExecutor"}}},
        r"\[core\] executor is given twice: as 'CeleryExecutor' by this cluster, and as 'LocalExecutor' by config=",
    ),
    "config against the executor": (
        lambda s: {"executor": LocalExecutor(), "config": {"core": {"parallelism": 64}}},
        "as '8' by the executor, and as '64' by config=",
    ),
    "a second Fernet key": (
        lambda s: {"config": {"core": {"fernet_key": ecs.Secret.from_secrets_manager(secret(s))}}},
        r"\[core\] fernet_key_cmd by this cluster, and \[core\] fernet_key by config=, are one option",
    ),
    "a variable against the cluster": (
        lambda s: {"environment": {"METADATA_HOST": "db.example.com"}},
        "sets METADATA_HOST in .*, which this cluster sets itself",
    ),
    "the name of an image as its source": (
        lambda s: {"image": AirflowImage(source="ghcr.io/acme/airflow:1")},
        "AirflowImage source must be an ImageSource such as",
    ),
    # --- a name used twice
    "two pools with equal names": (
        lambda s: {"executor": CeleryExecutor(pools=[WorkerPool("default"), WorkerPool("Default", queues=["b"])])},
        "two worker pools are named 'default'",
    ),
    "an option in two places": (
        lambda s: {"config": {"core": {"parallelism": 1}}, "environment": {"AIRFLOW__CORE__PARALLELISM": "2"}},
        "given twice: as '1' by config=, and as '2' by environment=",
    ),
    "an option in a component's environment": (
        lambda s: {
            "config": {"core": {"parallelism": 1}},
            "scheduler": Service(environment={"AIRFLOW__CORE__PARALLELISM": "2"}),
        },
        "as '1' by config=, and as '2' by environment of Scheduler",
    ),
    # --- secrets in plain text
    "a password in config": (
        lambda s: {"config": {"smtp": {"smtp_password": "hunter2"}}},
        r"\[smtp\] smtp_password is a secret.* pass an ecs.Secret",
    ),
    "a password in a variable of an option": (
        lambda s: {"environment": {"AIRFLOW__SMTP__SMTP_PASSWORD": "hunter2"}},
        r"\[smtp\] smtp_password is a secret",
    ),
    "a password in a variable": (lambda s: {"environment": {"DB_PASSWORD": "hunter2"}}, "looks like a secret"),
    "a connection in a variable": (lambda s: {"environment": {"AIRFLOW_CONN_DB": "pg://u:p@h"}}, "looks like a secret"),
    "a password in a pool's variable": (lambda s: pool(environment={"API_KEY": "k"}), "API_KEY looks like a secret"),
    "a secret by CloudFormation": (
        lambda s: {"environment": {"GREETING": "{{resolve:secretsmanager:s:SecretString}}"}},
        "GREETING looks like a secret",
    ),
    "a SecretValue": (
        lambda s: {"environment": {"X": SecretValue.secrets_manager("s")}},
        "text, a number or an ecs.Secret, such as ecs.Secret.from_secrets_manager",
    ),
    "a secret of Secrets Manager": (lambda s: {"environment": {"X": secret(s)}}, "ecs.Secret.from_secrets_manager"),
    "a bucket as a variable": (
        lambda s: {"environment": {"X": s3.Bucket.from_bucket_name(s, "B", "bucket")}},
        "text, a number or an ecs.Secret",
    ),
    "an AUTH token as text": (
        lambda s: {"executor": CeleryExecutor(broker=RedisBroker.existing("r", auth_token="hunter2"))},
        "auth_token must be a secretsmanager.ISecret whose whole value is the token, or an ecs.Secret, not the",
    ),
    # --- reserved names
    "packages at every start": (
        lambda s: {"environment": {"_PIP_ADDITIONAL_REQUIREMENTS": "pandas"}},
        "_PIP_ADDITIONAL_REQUIREMENTS is not accepted: it installs packages at every start; build an image instead",
    ),
    "migration at every start": (
        lambda s: {"api_server": Service(environment={"_AIRFLOW_DB_MIGRATE": "true"})},
        "_AIRFLOW_DB_MIGRATE is not accepted: the migration gate upgrades the database",
    ),
    "an admin at every start": (
        lambda s: pool(environment={"_AIRFLOW_WWW_USER_CREATE": "true"}),
        "_AIRFLOW_WWW_USER_CREATE is not accepted: the migration gate creates the admin",
    ),
    # --- addresses
    "a CIDR block with host bits": (
        lambda s: {"web": Web(allow_from=["10.0.0.1/8"])},
        "not a CIDR block .*host bits set",
    ),
    "a CIDR block too long": (lambda s: {"web": Web(allow_from=["10.0.0.0/40"])}, "'10.0.0.0/40' is not a CIDR block"),
    "a host as CIDR block": (lambda s: {"web": Web(allow_from=["office.example.com"])}, "not a CIDR block"),
    "a port as client": (lambda s: {"web": Web(allow_from=[8080])}, "allow_from must be CIDR blocks .*, got 8080"),
    "a URL as endpoint": (
        lambda s: {"database": ExistingDatabase(endpoint="postgresql://db:5432/airflow", secret=secret(s))},
        "endpoint .*without scheme, port",
    ),
    "a port in the host": (
        lambda s: {"executor": CeleryExecutor(broker=RedisBroker.existing("r:6379", auth_token=secret(s)))},
        "host .*without scheme, port",
    ),
    "a port out of range": (
        lambda s: {"database": ExistingDatabase(endpoint="db", secret=secret(s), port=70000)},
        "port .*1 to 65535.*got 70000",
    ),
    "a URL without a scheme": (
        lambda s: {"web": Web(base_url="airflow.example.com")},
        "base_url must be a URL such as",
    ),
    # --- unsuitable networks
    "an unknown CIDR block of the VPC": (
        lambda s: {"vpc": vpc(s, cidr=None)},
        r"Pass vpc_cidr_block= to ec2.Vpc.from_vpc_attributes\(…\), or web=Web\(allow_from=\[…\]\)",
    ),
    "no private subnets": (
        lambda s: {"vpc": vpc(s, public=2)},
        r"vpc= has no subnets for tasks: There are no 'Private' .*: Public; .*pass task_subnets=ec2.SubnetSelection",
    ),
    "no private subnets for the database": (
        lambda s: {"vpc": vpc(s, public=2), "task_subnets": PUBLIC},
        "no subnets for RdsDatabase: There are no 'Private' .*; .*pass store_subnets=",
    ),
    "no private subnets for the broker": (
        lambda s: {"vpc": vpc(s, public=2), "task_subnets": PUBLIC, "web_subnets": PUBLIC, "database": existing(s)},
        "no subnets for RedisBroker: There are no 'Private' .*; .*pass store_subnets=",
    ),
    "no private subnets for files": (
        lambda s: {"vpc": vpc(s, public=2), "task_subnets": PUBLIC, "web_subnets": PUBLIC, **IN_CONTAINERS},
        "no subnets for Database/Files: There are no 'Private' .*; .*pass store_subnets=",
    ),
    "no private subnets for the load balancer": (
        lambda s: {"vpc": vpc(s, public=2), "task_subnets": PUBLIC, "store_subnets": PUBLIC},
        "no subnets for the load balancer: There are no 'Private' .*; .*pass web_subnets=",
    ),
    "subnets by an unknown name": (
        lambda s: {"vpc": vpc(s), "task_subnets": ec2.SubnetSelection(subnet_group_name="App")},
        "no subnets for tasks: There are no subnet groups with name 'App' .*; .*pass task_subnets=",
    ),
    "subnets in an unknown zone": (
        lambda s: {"vpc": vpc(s), "task_subnets": ec2.SubnetSelection(availability_zones=["eu-central-1c"])},
        "vpc= has no subnets for tasks: task_subnets= selects none",
    ),
    "a database in one zone": (
        lambda s: {"vpc": vpc(s, zones=ZONES[:1])},
        "RdsDatabase needs subnets in 2 zones, .*store_subnets= .*only one zone; .*pass store_subnets=",
    ),
    "an Aurora database in one zone": (
        lambda s: {"vpc": vpc(s), "store_subnets": IN_ONE_ZONE, "database": AuroraDatabase()},
        "AuroraDatabase needs subnets in 2 zones",
    ),
    "a load balancer in one zone": (
        lambda s: {"vpc": vpc(s, zones=ZONES[:1]), "database": existing(s)},
        "the load balancer needs subnets in 2 zones, .*web_subnets= .*only one zone; .*pass web_subnets=",
    ),
    "a VPC with one unknown zone": (
        lambda s: {"vpc": new_vpc(s, max_azs=1)},
        "RdsDatabase needs subnets in 2 zones",
    ),
    "two load balancer subnets in a zone": (
        lambda s: {"vpc": vpc(s, private=4), "web_subnets": ec2.SubnetSelection(subnet_type=PRIVATE)},
        "the load balancer accepts one subnet per zone, .*web_subnets= .*one_per_az=True",
    ),
    "tasks outside the zones of their files": (
        lambda s: {"vpc": vpc(s), "store_subnets": IN_ONE_ZONE, **IN_CONTAINERS},
        "Database/Files: tasks run in eu-central-1b, .*store_subnets=",
    ),
    "subnets without their VPC": (
        lambda s: {"task_subnets": ec2.SubnetSelection(subnets=new_vpc(s).private_subnets)},
        "task_subnets= .*Pass this VPC as vpc=",
    ),
    "subnets of another VPC": (
        lambda s: {
            "vpc": new_vpc(s),
            "store_subnets": ec2.SubnetSelection(subnets=new_vpc(s, "Other").private_subnets),
        },
        "store_subnets= must select subnets in vpc=, got Data/Other/PrivateSubnet1",
    ),
    "an unknown subnet group of the cluster's VPC": (
        lambda s: {"task_subnets": ec2.SubnetSelection(subnet_group_name="App")},
        "task_subnets= .*Private, Public, Store .*got 'App'.*pass vpc=",
    ),
    # --- unsuitable databases
    "an RDS database in another VPC": (
        lambda s: {"database": ExistingDatabase(postgres(s))},
        "is in an existing VPC, and the cluster would create another one. Pass vpc=",
    ),
    "an RDS database of another engine": (
        lambda s: {"database": ExistingDatabase(postgres(s, engine=rds.DatabaseInstanceEngine.MYSQL))},
        "ExistingDatabase must be PostgreSQL, got 'mysql'",
    ),
    "an Aurora database without an address": (
        lambda s: {
            "database": ExistingDatabase(
                rds.DatabaseCluster.from_database_cluster_attributes(s, "Db", cluster_identifier="db"),
                secret=secret(s),
            )
        },
        "the imported cluster. Pass cluster_endpoint_address= and port=",
    ),
    # --- emptiness
    "an empty host": (lambda s: {"database": ExistingDatabase(endpoint="", secret=secret(s))}, "endpoint .*text such"),
    "an empty image name": (lambda s: {"image": AirflowImage.registry("")}, "AirflowImage.registry name .*text such"),
    "a missing folder": (
        lambda s: {"dags": S3Dags("no/such/folder")},
        "folder must be a folder .* got 'no/such/folder'",
    ),
    "an empty log prefix": (lambda s: {"logs": S3Logs(prefix="/")}, "S3Logs prefix must be a folder in the bucket"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_rejected_argument_raises_an_error_before_the_first_construct(case):
    """The error has the remedy."""
    build, words = REFUSED[case]
    stack = Stack(App(), "Data")
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        AirflowCluster(stack, "Airflow", **{"version": AirflowVersion.V3_3, **build(stack)})
    assert "Airflow" not in [child.node.id for child in stack.node.children]
    assert "hunter2" not in str(caught.value)
    assert "-1.8" not in str(caught.value)


@pytest.mark.parametrize(
    ("scope", "construct_id", "words"),
    [
        (App, "Airflow", "AirflowCluster must be in a stack"),
        (lambda: None, "Airflow", "the scope of AirflowCluster must be a construct such as a Stack, got None"),
        (lambda: "Data", "Airflow", "the scope of AirflowCluster must be a construct such as a Stack, got 'Data'"),
        (lambda: Stack, "Airflow", "the class Stack"),
        (lambda: Stack(App(), "Data"), "", "the id of AirflowCluster must be text"),
        (lambda: Stack(App(), "Data"), None, "the id of AirflowCluster must be text"),
    ],
)
def test_a_cluster_needs_a_scope_inside_a_stack_and_an_id(scope, construct_id, words):
    """A cluster needs a scope inside a stack, and an id."""
    with pytest.raises(ValueError, match=words):
        AirflowCluster(scope(), construct_id)


def test_python_rejects_an_unknown_argument():
    """Python rejects an unknown argument."""
    stack = Stack(App(), "Data")
    with pytest.raises(TypeError, match="unexpected keyword argument 'wrokers'"):
        AirflowCluster(stack, "Airflow", wrokers=3)
    assert stack.node.children == []


def test_more_than_a_hundred_wrong_arguments_are_tested():
    """The pattern for each error contains more than a few characters."""
    words = [re.sub(r"\W", "", words) for _, words in REFUSED.values()]
    assert len(REFUSED) > 100
    assert min(len(text) for text in words) > 5


# --- unusual arguments -----------------------------------------------------------------------------------------------


@jsii.implements(IStableStringProducer)
class Late:
    """A text that CDK resolves only at synthesis."""

    def __init__(self, text: str) -> None:
        self.text = text

    def produce(self) -> str:
        """Return the text."""
        return self.text


def synthesize(build: Build) -> dict[str, Any]:
    """Synthesize a cluster with arguments that contain tokens."""
    stack = Stack(App(), "Data")
    AirflowCluster(stack, "Airflow", **{"version": AirflowVersion.V3_3, **build(stack)})
    return Template.from_stack(stack).to_json()


def scheduler(template: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the properties of the scheduler's resource of this type."""
    found = resources(template, f"AWS::ECS::{kind}")
    (name,) = [name for name in found if name.startswith(f"AirflowComponentsScheduler{kind}")]
    return found[name]["Properties"]


def variables(template: dict[str, Any]) -> dict[str, Any]:
    """Return the scheduler's environment variables."""
    return {
        item["Name"]: item["Value"]
        for item in scheduler(template, "TaskDefinition")["ContainerDefinitions"][0]["Environment"]
    }


PARAMETER = {"Ref": "Number"}


def test_cpu_memory_count_and_disk_may_be_cloudformation_parameters():
    """Sizes, counts and disks may be CloudFormation parameters."""

    def build(stack):
        value = number(stack)
        return {"scheduler": Service(cpu=value, memory_mib=value, count=value, ephemeral_storage_gib=value)}

    template = synthesize(build)
    task = scheduler(template, "TaskDefinition")
    as_text = ({"Fn::Join": ["", [PARAMETER]]}, PARAMETER)
    assert task["Cpu"] in as_text
    assert task["Memory"] in as_text
    assert task["EphemeralStorage"] == {"SizeInGiB": PARAMETER}
    assert scheduler(template, "Service")["DesiredCount"] == PARAMETER


def test_the_size_of_a_worker_pool_may_be_a_parameter_with_concurrency():
    """Without concurrency=, the size must be known, because the default concurrency depends on the memory."""

    def build(stack):
        value = number(stack)
        return pool(cpu=value, memory_mib=value, count=value, concurrency=value)

    template = synthesize(build)
    services = resources(template, "AWS::ECS::Service").values()
    assert [s["Properties"]["DesiredCount"] for s in services].count(PARAMETER) == 1
    tasks = resources(template, "AWS::ECS::TaskDefinition").values()
    values = [entry for t in tasks for entry in t["Properties"]["ContainerDefinitions"][0]["Environment"]]
    assert {"Name": "AIRFLOW__CELERY__WORKER_CONCURRENCY", "Value": PARAMETER} in values


@pytest.mark.parametrize("store", ["database", "broker"])
def test_the_port_of_a_database_may_be_a_parameter(store):
    """Environment variables and security group rules refer to the parameter."""

    def build(stack):
        group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-0123456789abcdef0")
        given = {"port": number(stack), "security_group": group}
        if store == "database":
            return {"database": ExistingDatabase(endpoint="db.example.com", secret=secret(stack), **given)}
        return {
            "executor": CeleryExecutor(broker=RedisBroker.existing("r.example.com", auth_token=secret(stack), **given))
        }

    template = synthesize(build)
    name = "METADATA_PORT" if store == "database" else "BROKER_PORT"
    assert variables(template)[name] == PARAMETER
    rules = resources(template, "AWS::EC2::SecurityGroupIngress").values()
    assert PARAMETER in [rule["Properties"]["FromPort"] for rule in rules]
    assert "e+289" not in str(template)


def test_lazy_hosts_and_values_are_resolved():
    """CDK resolves lazy values at synthesis."""

    def build(stack):
        late = {name: Lazy.string(Late(f"{name}.example.com")) for name in ("host", "option", "variable", "url")}
        return {
            "database": ExistingDatabase(endpoint=late["host"], secret=secret(stack)),
            "config": {"email": {"from_email": late["option"]}},
            "environment": {"STAGE": late["variable"]},
            "web": Web(base_url=late["url"], allow_from=[CfnParameter(stack, "Cidr").value_as_string]),
        }

    template = synthesize(build)
    found = variables(template)
    assert found["METADATA_HOST"] == "host.example.com"
    assert found["AIRFLOW__EMAIL__FROM_EMAIL"] == "option.example.com"
    assert found["STAGE"] == "variable.example.com"
    assert found["AIRFLOW__API__BASE_URL"] == "url.example.com"
    groups = resources(template, "AWS::EC2::SecurityGroup").values()
    clients = [rule.get("CidrIp") for g in groups for rule in g["Properties"].get("SecurityGroupIngress", [])]
    assert {"Ref": "Cidr"} in clients


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda s: {"config": {"core": {"max_templated_field_length": number(s)}}}, "CORE__MAX_TEMPLATED_FIELD_LENGTH"),
        (lambda s: {"config": {"core": {"parallelism": Token.as_string(number(s))}}}, "CORE__PARALLELISM"),
        (lambda s: {"executor": LocalExecutor(parallelism=number(s))}, "CORE__PARALLELISM"),
        (lambda s: {"environment": {"AIRFLOW__CORE__PARALLELISM": number(s)}}, "CORE__PARALLELISM"),
    ],
)
def test_an_airflow_option_may_be_a_cloudformation_parameter(build, name):
    """The value of an Airflow option may be a CloudFormation parameter with a number."""
    assert variables(synthesize(build))[f"AIRFLOW__{name}"] == PARAMETER


def test_a_hosted_zone_may_be_known_only_by_its_id():
    """In a hosted zone known only by its id, the record has the full domain name."""

    def build(stack):
        zone = route53.HostedZone.from_hosted_zone_id(stack, "Zone", "Z1")
        return {"web": Web(certificate=certificate(stack), domain_name="airflow.example.com", hosted_zone=zone)}

    (record,) = resources(synthesize(build), "AWS::Route53::RecordSet").values()
    assert record["Properties"]["Name"] == "airflow.example.com."
    assert record["Properties"]["HostedZoneId"] == "Z1"


def test_a_vpc_with_an_unknown_cidr_block_requires_allow_from():
    """A VPC with unknown CIDR block and zones requires allow_from=."""

    def build(stack):
        given = vpc(stack, zones=Fn.get_azs(), cidr=None, private=2)
        return {"vpc": given, "web": Web(allow_from=["10.0.0.0/8"])}

    (balancer,) = resources(synthesize(build), "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    assert balancer["Properties"]["Subnets"] == ["subnet-private-0", "subnet-private-1"]


def looked_up(stack: Stack) -> ec2.IVpc:
    """Return a VPC as CDK returns it before the first lookup, with dummy values."""
    return ec2.Vpc.from_lookup(Stack(stack, "There", env=env()), "Vpc", vpc_id="vpc-1")


def without_vpc(stack: Stack) -> list[ec2.ISubnet]:
    """Return a subnet whose VPC is unknown."""
    return [ec2.Subnet.from_subnet_attributes(stack, "Subnet", subnet_id="subnet-1", availability_zone=ZONES[0])]


@pytest.mark.parametrize(
    ("given", "tasks"),
    [
        (looked_up, lambda stack, given: {"subnet_type": ec2.SubnetType.PRIVATE_ISOLATED}),
        (vpc, lambda stack, given: {"subnets": given.private_subnets}),
        (vpc, lambda stack, given: {"subnets": without_vpc(stack)}),
        (vpc, lambda stack, given: {"subnets": vpc(Stack(stack, "There")).private_subnets}),
        (vpc, lambda stack, given: {"subnets": new_vpc(stack, "Perhaps").private_subnets}),
    ],
    ids=["not looked up yet", "its own", "of nobody", "imported twice", "of a VPC without a known id"],
)
def test_subnets_that_cannot_be_checked_are_accepted(given, tasks):
    """Subnets whose VPC is unknown are accepted."""
    stack = Stack(App(), "Data")
    network = given(stack)
    chosen = {"task_subnets": ec2.SubnetSelection(**tasks(stack, network))}
    check_network(network, chosen, [], internet_facing=False)


def test_sequence_arguments_may_be_generators():
    """Each generator is read completely."""
    template = synthesize(
        lambda stack: {
            "executor": CeleryExecutor(
                pools=(WorkerPool(n, queues=(q for q in (n, "b"))) for n in ("default", "more"))
            ),
            "web": Web(allow_from=(block for block in ("10.1.0.0/16", "10.2.0.0/16"))),
            "image": AirflowImage.registry("ghcr.io/acme/airflow:1", entrypoint=(w for w in ("/init", "--"))),
            "scheduler": Service(health_check=HealthCheck(command=(w for w in ("python3", "-V")))),
        }
    )
    container = scheduler(template, "TaskDefinition")["ContainerDefinitions"][0]
    assert container["EntryPoint"] == ["/init", "--"]
    assert container["HealthCheck"]["Command"] == ["CMD", "python3", "-V"]
    groups = resources(template, "AWS::EC2::SecurityGroup").values()
    clients = {rule.get("CidrIp") for g in groups for rule in g["Properties"].get("SecurityGroupIngress", [])}
    assert {"10.1.0.0/16", "10.2.0.0/16"} <= clients
    commands = [
        t["Properties"]["ContainerDefinitions"][0]["Command"]
        for t in resources(template, "AWS::ECS::TaskDefinition").values()
    ]
    assert {tuple(command[3:5]) for command in commands if "celery" in command} == {
        ("--queues", "default,b"),
        ("--queues", "more,b"),
    }


def test_an_argument_of_none_means_its_default():
    """Passing None is equivalent to omitting the argument."""
    parameters = inspect.signature(AirflowCluster.__init__).parameters.values()
    arguments = [each.name for each in parameters if each.default is None and each.name != "version"]
    assert {"log_router", "web_subnets"} < {*arguments}
    assert synthesize(lambda stack: dict.fromkeys(arguments)) == synthesize(lambda stack: {})
    assert synthesize(lambda stack: {"config": {}, "environment": {}}) == synthesize(lambda stack: {})


def test_image_and_size_of_container_stores_may_be_parameters():
    """Image and size of stores in containers may be CloudFormation parameters."""

    def build(stack):
        value, image = number(stack), CfnParameter(stack, "Image").value_as_string
        return {
            "database": ContainerDatabase(image=image, cpu=value, memory_mib=value),
            "executor": CeleryExecutor(broker=RedisBroker.container(image=image, cpu=value, memory_mib=value)),
        }

    template = synthesize(build)
    for store in ("Database", "Broker"):
        (task,) = (
            definition["Properties"]
            for name, definition in resources(template, "AWS::ECS::TaskDefinition").items()
            if name.startswith(f"Airflow{store}")
        )
        assert task["ContainerDefinitions"][0]["Image"] == {"Ref": "Image"}
        assert task["Cpu"] in ({"Fn::Join": ["", [PARAMETER]]}, PARAMETER)
    assert "e+289" not in str(template)


def test_the_template_cache_distinguishes_functions():
    """The tests' template cache distinguishes two functions at the same memory address."""

    def stages(value: str) -> str:
        return str(template_of(environment=lambda stack: {"STAGE": value}))

    assert "first-stage" in stages("first-stage")
    assert "second-stage" in stages("second-stage")
