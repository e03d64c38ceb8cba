"""Resources with data keep their logical ids and create-only properties.

``ids/*.json`` contain the resources of a cluster without arguments. A change there replaces data in every cluster that
upgrades; ``PYTHONPATH=tests python tests/synth/test_ids.py`` writes them again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aws_cdk import App, RemovalPolicy, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager

from cdk_airflow_ecs import (
    AirflowImage,
    AirflowVersion,
    AwsLogs,
    CeleryExecutor,
    ContainerDatabase,
    DatabaseCleanup,
    EcsExecutor,
    ExistingDatabase,
    ImageDags,
    LocalExecutor,
    LocalLogs,
    Monitoring,
    RdsDatabase,
    RedisBroker,
    S3Dags,
    S3Logs,
    Service,
    SeveralExecutors,
    Web,
    WorkerPool,
)
from synthesis import REPOSITORY, add_cluster, env, example, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")

FILES = Path(__file__).parent / "ids"
# Per kind of store: resource types, with properties whose change replaces the resource (createOnlyProperties of
# CloudFormation's resource schemas) or its content (GenerateSecretString creates a new value, and a changed subnet
# group may exclude the database's subnet).
KINDS = {
    "database": {
        "AWS::RDS::DBInstance": [
            *("DBInstanceIdentifier", "DBName", "DBSubnetGroupName", "KmsKeyId", "MasterUsername", "StorageEncrypted"),
            *("Engine", "AvailabilityZone", "CharacterSetName", "CustomIAMInstanceProfile", "Timezone"),
            *("DBSnapshotIdentifier", "SourceRegion", "Port", "NcharCharacterSetName", "BackupTarget"),
        ],
        "AWS::RDS::DBSubnetGroup": ["DBSubnetGroupName", "SubnetIds"],
    },
    "cache": {
        "AWS::ElastiCache::ReplicationGroup": [
            *("AtRestEncryptionEnabled", "CacheSubnetGroupName", "KmsKeyId", "Port", "ReplicationGroupId"),
            *("SnapshotName", "SnapshotArns", "TransitEncryptionEnabled", "AuthToken", "UserGroupIds", "Engine"),
            *("GlobalReplicationGroupId", "DataTieringEnabled", "NetworkType", "ClusterMode", "NumNodeGroups"),
        ],
        "AWS::ElastiCache::SubnetGroup": ["CacheSubnetGroupName", "SubnetIds"],
    },
    "buckets": {"AWS::S3::Bucket": ["BucketName", "BucketNamespace", "BucketEncryption"]},
    "keys": {"AWS::KMS::Key": ["KeySpec", "KeyUsage", "MultiRegion", "Origin"]},
    "secrets": {"AWS::SecretsManager::Secret": ["Name", "GenerateSecretString", "SecretString", "KmsKeyId"]},
    "logs": {"AWS::Logs::LogGroup": ["LogGroupName", "LogGroupClass"]},
    "network": {
        "AWS::EC2::VPC": ["CidrBlock", "InstanceTenancy", "Ipv4IpamPoolId", "Ipv4NetmaskLength"],
        "AWS::EC2::Subnet": ["AvailabilityZone", "AvailabilityZoneId", "CidrBlock", "VpcId"],
        "AWS::ServiceDiscovery::PrivateDnsNamespace": ["Name", "Vpc"],
    },
}
# Log groups that are deleted with the stack.
PASSING = ("AirflowVpcFlowLogGroup", "AirflowGateHandlerLogs", "AirflowDagsUploadLogs")


@dataclass(frozen=True)
class Change:
    """Cluster arguments that may change at any time, and logical id prefixes of the stores that they remove."""

    arguments: dict
    without: tuple[str, ...] = field(default=())


def certificate(stack):
    """Return an imported certificate."""
    arn = "arn:aws:acm:eu-central-1:123456789012:certificate/0"
    return acm.Certificate.from_certificate_arn(stack, "Certificate", arn)


def public_web(stack):
    """Return an internet-facing load balancer."""
    return Web(certificate=certificate(stack), internet_facing=True, allow_from=["203.0.113.0/24"])


def bucket(stack):
    """Return an imported bucket."""
    return s3.Bucket.from_bucket_name(stack, "Given", "given")


def secret(stack):
    """Return an imported secret."""
    return secretsmanager.Secret.from_secret_name_v2(stack, "Login", "login")


BROKER, DATABASE, JWT = "AirflowBroker", "AirflowDatabase", "AirflowSecretsJwt"
NAMESPACE, DAGS, TASK_LOGS = "AirflowNamespace", "AirflowDagsBucket", "AirflowLogsTasks"
CHANGES = {
    **{
        f"Airflow {version}": Change({"version": version}, () if version.major >= 3 else (JWT, NAMESPACE))
        for version in AirflowVersion.ALL
    },
    "no snapshot before migration": Change({"snapshot_before_migration": False}),
    "maintenance tasks": Change({"maintenance_tasks": [DatabaseCleanup()]}),
    "executor": Change({"executor": LocalExecutor()}, (BROKER,)),
    "ECS executor": Change({"executor": EcsExecutor(spot=True)}, (BROKER,)),
    "several executors": Change({"executor": SeveralExecutors([CeleryExecutor(), EcsExecutor()])}),
    "broker": Change(
        {
            "executor": CeleryExecutor(
                broker=RedisBroker(
                    node_type="cache.m7g.large", replicas=2, engine_version="8.1", snapshot_retention_days=7
                )
            )
        }
    ),
    "broker in a container": Change(
        {"executor": CeleryExecutor(broker=RedisBroker.container())}, ("AirflowBrokerCache", "AirflowBrokerSubnets")
    ),
    "database in a container": Change(
        {"database": ContainerDatabase()}, ("AirflowDatabaseInstance", "AirflowDatabaseSubnets")
    ),
    "existing broker": Change(
        {
            "executor": lambda stack: CeleryExecutor(
                broker=RedisBroker.existing("redis.example.com", auth_token=secret(stack))
            )
        },
        (BROKER,),
    ),
    "pools on Spot": Change(
        {"executor": CeleryExecutor(pools=[WorkerPool("default", spot=True, architecture="arm64")])}
    ),
    "pools": Change({"executor": CeleryExecutor(pools=[WorkerPool("small", queues=["default"]), WorkerPool("big")])}),
    "database size": Change(
        {
            "database": RdsDatabase(
                instance_class="db.m7g.large",
                multi_az=False,
                allocated_storage_gib=100,
                max_allocated_storage_gib=1000,
                backup_retention_days=35,
                engine_version="18.1",
                deletion_protection=False,
            )
        }
    ),
    "existing database": Change(
        {"database": lambda stack: ExistingDatabase(endpoint="db.example.com", secret=secret(stack))}, (DATABASE,)
    ),
    "DAGs": Change({"dags": S3Dags(refresh_seconds=300, provider_bundle=True)}),
    "DAG upload": Change({"dags": S3Dags(REPOSITORY / "examples/production/dags")}),
    "DAGs from elsewhere": Change({"dags": lambda stack: S3Dags(bucket=bucket(stack), prefix="dags")}, (DAGS,)),
    "DAGs in the image": Change(
        {"dags": ImageDags(), "image": AirflowImage.registry("example.com/airflow:1")}, (DAGS,)
    ),
    "logs": Change({"logs": S3Logs(prefix="logs", expire_days=None)}),
    "output of containers": Change({"log_router": AwsLogs(retention_days=365)}),
    "logs elsewhere": Change({"logs": lambda stack: S3Logs(bucket=bucket(stack))}, (TASK_LOGS,)),
    "no logs": Change({"logs": LocalLogs()}, (TASK_LOGS,)),
    "web": Change({"web": public_web}),
    "image": Change({"image": AirflowImage.official(architecture="arm64")}),
    "image built": Change(
        {"dags": S3Dags(), "image": AirflowImage.build(REPOSITORY / "examples/custom-image/airflow")}
    ),
    "config": Change({"config": {"core": {"parallelism": 64}, "database": {"sql_alchemy_pool_size": 20}}}),
    "environment": Change({"environment": {"STAGE": "production"}}),
    "sizes": Change(
        {
            "api_server": Service(count=3, cpu=2048, memory_mib=4096),
            "scheduler": Service(count=2, ephemeral_storage_gib=50),
            "dag_processor": Service(cpu=1024, memory_mib=2048),
            "triggerer": Service(count=0),
        }
    ),
    "shells": Change({"enable_exec": True}),
    "no shells": Change({"enable_exec": False}),
    "maintenance": Change({"maintenance": True}),
    "subnets": Change(
        {
            "task_subnets": ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
            "web_subnets": ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
        }
    ),
    **{
        f"RemovalPolicy.{policy.name}": Change({"removal_policy": policy})
        for policy in (RemovalPolicy.DESTROY, RemovalPolicy.RETAIN)
    },
    "Container Insights": Change({"container_insights": False}),
    "monitoring": Change({"monitoring": Monitoring()}),
}


def committed(kind):
    """Return the committed resources of *kind*, by logical id."""
    return json.loads((FILES / f"{kind}.json").read_text())


def stateful(template, kind):
    """Return type and create-only properties of the resources of *kind*, by logical id."""
    types = KINDS[kind]
    return {
        logical_id: {
            "Type": resource["Type"],
            **{
                name: resource["Properties"][name]
                for name in types[resource["Type"]]
                if name in resource.get("Properties", {})
            },
        }
        for logical_id, resource in resources(template, *types).items()
        if not logical_id.startswith(PASSING)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_default_cluster_has_the_committed_logical_ids(kind):
    """Create-only properties are equal to the committed ones, too."""
    assert committed(kind) == stateful(template_of(), kind)
    assert {*KINDS[kind]} == {resource["Type"] for resource in committed(kind).values()}


@pytest.mark.parametrize("change", CHANGES)
def test_arguments_that_do_not_affect_data_replace_no_store(change):
    """Changing these arguments replaces no store."""
    template, without = template_of(**CHANGES[change].arguments), CHANGES[change].without
    for kind in KINDS:
        kept = {key: value for key, value in committed(kind).items() if not without or not key.startswith(without)}
        assert kept == stateful(template, kind)


def test_every_argument_of_the_cluster_is_tested_for_replacements():
    """CHANGES has each argument, except those that determine where data is."""
    from inspect import signature

    from cdk_airflow_ecs import AirflowCluster

    arguments = {*signature(AirflowCluster.__init__).parameters} - {"self", "scope", "construct_id"}
    fixed = {"vpc", "store_subnets", "encryption_key"}
    assert arguments == fixed | {name for change in CHANGES.values() for name in change.arguments}


@pytest.mark.parametrize("recommended", [False, True], ids=["no flags", "recommended flags"])
def test_feature_flags_of_cdk_change_no_store(recommended):
    """CDK's feature flags change no store."""
    report = example("quickstart").artifacts["aws-cdk-lib/feature-flag-report"]["properties"]["flags"]
    context = {name: flag["recommendedValue"] for name, flag in report.items()} if recommended else {}
    template = synthesize(lambda app: add_cluster(Stack(app, "Data")), context=context).templates["Data"]
    for kind in KINDS:
        assert committed(kind) == stateful(template, kind)


def test_a_stack_with_account_and_region_has_the_same_logical_ids():
    """Logical ids are the same as without account and region."""
    app = App()
    stack = Stack(app, "Data", env=env())
    add_cluster(stack)
    template = json.loads((Path(app.synth().directory) / "Data.template.json").read_text())
    for kind in KINDS:
        assert {*committed(kind)} == {*stateful(template, kind)}


def pools(*, spot):
    """Return the types of resources of pools and ECS tasks, by logical id."""

    def build(app):
        cluster = add_cluster(Stack(app, "Data"))
        cluster.add_worker_pool(WorkerPool("heavy", spot=spot))
        cluster.add_ecs_task("etl", spot=spot)

    template = synthesize(build).templates["Data"]
    return {
        key: resource["Type"]
        for key, resource in template["Resources"].items()
        if key.startswith(("AirflowPools", "AirflowTasks"))
    }


@pytest.mark.parametrize("spot", [False, True])
def test_pools_and_ecs_tasks_have_the_committed_logical_ids(spot):
    """Spot changes no logical id of a pool or ECS task."""
    assert pools(spot=spot) == committed("pools")


if __name__ == "__main__":
    for each in KINDS:
        text = json.dumps(stateful(template_of(), each), indent=2, sort_keys=True)
        (FILES / f"{each}.json").write_text(text + "\n")
    (FILES / "pools.json").write_text(json.dumps(pools(spot=False), indent=2, sort_keys=True) + "\n")
