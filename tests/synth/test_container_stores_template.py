"""Stores that run as containers, in the template.

``PYTHONPATH=tests python tests/synth/test_container_stores_template.py`` writes ``ids/files.json`` again.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aws_cdk import App, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk.assertions import Annotations, Match

from cdk_airflow_ecs import (
    AirflowVersion,
    AuroraDatabase,
    CeleryExecutor,
    ContainerDatabase,
    EcsExecutor,
    FireLens,
    LocalExecutor,
    RdsDatabase,
    RedisBroker,
    WorkerPool,
)
from synthesis import add_cluster, flat, references, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")

REDIS = CeleryExecutor(broker=RedisBroker.container())
BOTH = {"database": ContainerDatabase(), "executor": REDIS}
VERSIONS = pytest.mark.parametrize("version", [AirflowVersion.V3_3, AirflowVersion.V2_8], ids=str)


def of(template, kind, beginning="Airflow"):
    """Return id and properties of the only resource of *kind* whose logical id starts with *prefix*."""
    ((logical_id, resource),) = (
        (key, each) for key, each in resources(template, kind).items() if key.startswith(beginning)
    )
    return logical_id, resource["Properties"]


def waits_for(template, logical_id):
    """Return every resource that CloudFormation must create before *logical_id*."""
    found, open_ = set(), [logical_id]
    while open_:
        resource = template["Resources"][open_.pop()]
        wanted = references(resource.get("Properties", {})) | {*resource.get("DependsOn", ())}
        new = {name for name in wanted if name in template["Resources"]} - found
        found |= new
        open_ += new
    return found


def container(template, component):
    """Return the only container of a component's task."""
    _, definition = of(template, "AWS::ECS::TaskDefinition", f"Airflow{component}")
    (found,) = definition["ContainerDefinitions"]
    return found


FILE = Path(__file__).parent / "ids" / "files.json"
# Per resource type, as in test_ids.py: properties whose change replaces the resource or its content.
KEPT = {
    "AWS::EFS::FileSystem": ["AvailabilityZoneName", "Encrypted", "KmsKeyId", "PerformanceMode"],
    "AWS::EFS::AccessPoint": ["ClientToken", "FileSystemId", "PosixUser", "RootDirectory"],
    "AWS::EFS::MountTarget": ["FileSystemId", "IpAddress", "SubnetId"],
}


def stateful(**arguments):
    """Return type and create-only properties of the file system's resources, by logical id."""
    return {
        name: {
            "Type": resource["Type"],
            **{key: resource["Properties"][key] for key in KEPT[resource["Type"]] if key in resource["Properties"]},
        }
        for name, resource in resources(template_of(**arguments), *KEPT).items()
    }


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"database": ContainerDatabase(image="postgres:17.9-bookworm", cpu=1024, memory_mib=2048)},
        {"version": AirflowVersion.V2_11, "executor": REDIS, "config": {"core": {"parallelism": 64}}},
        {"executor": EcsExecutor(spot=True), "enable_exec": True},
        {"removal_policy": RemovalPolicy.DESTROY, "maintenance": True},
    ],
)
def test_the_file_system_of_postgres_keeps_its_logical_ids(arguments):
    """No argument changes logical ids or create-only properties of the file system."""
    assert stateful(**{"database": ContainerDatabase(), **arguments}) == json.loads(FILE.read_text())


def test_the_file_system_is_encrypted_and_requires_tls():
    """The file system is elastic, backed up and retained."""
    template = template_of(**BOTH)
    logical_id, system = of(template, "AWS::EFS::FileSystem")
    key, _ = of(template, "AWS::KMS::Key")
    assert system["Encrypted"] is True
    assert references(system["KmsKeyId"]) == {key}
    assert system["ThroughputMode"] == "elastic"
    assert system["BackupPolicy"] == {"Status": "ENABLED"}
    (statement,) = system["FileSystemPolicy"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Principal"] == {"AWS": "*"}
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    resource = template["Resources"][logical_id]
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def test_removal_policy_destroy_deletes_the_file_system():
    """With `RemovalPolicy.DESTROY` the file system has no backups."""
    template = template_of(**BOTH, removal_policy=RemovalPolicy.DESTROY)
    logical_id, system = of(template, "AWS::EFS::FileSystem")
    assert system["BackupPolicy"] == {"Status": "DISABLED"}
    assert template["Resources"][logical_id]["DeletionPolicy"] == "Delete"


@pytest.mark.parametrize(("image", "number"), [("postgres:17", "999"), ("postgres:17-alpine", "70")])
def test_the_access_point_has_the_user_of_the_container(image, number):
    """The folder of the access point belongs to the user id with which the container runs."""
    template = template_of(database=ContainerDatabase(image=image), executor=LocalExecutor())
    _, access = of(template, "AWS::EFS::AccessPoint")
    system, _ = of(template, "AWS::EFS::FileSystem")
    assert access == {
        "FileSystemId": {"Ref": system},
        "PosixUser": {"Uid": number, "Gid": number},
        "RootDirectory": {
            "Path": "/postgres",
            "CreationInfo": {"OwnerUid": number, "OwnerGid": number, "Permissions": "0700"},
        },
    }
    assert container(template, "Database")["User"] == f"{number}:{number}"


def test_postgres_mounts_the_access_point_with_tls():
    """PostgreSQL's task mounts the access point with TLS and its own role."""
    template = template_of(**BOTH)
    _, definition = of(template, "AWS::ECS::TaskDefinition", "AirflowDatabase")
    system, access = (of(template, f"AWS::EFS::{kind}")[0] for kind in ("FileSystem", "AccessPoint"))
    assert definition["Volumes"] == [
        {
            "Name": "postgres",
            "EFSVolumeConfiguration": {
                "FilesystemId": {"Ref": system},
                "TransitEncryption": "ENABLED",
                "AuthorizationConfig": {"AccessPointId": {"Ref": access}, "IAM": "ENABLED"},
            },
        }
    ]
    found = container(template, "Database")
    assert found["MountPoints"] == [
        {"SourceVolume": "postgres", "ContainerPath": "/var/lib/airflow-metadata", "ReadOnly": False}
    ]
    variables = {each["Name"]: each["Value"] for each in found["Environment"]}
    assert variables["PGDATA"].startswith("/var/lib/airflow-metadata/")
    assert [each["Name"] for each in found["Secrets"]] == ["POSTGRES_PASSWORD"]
    mounting = [
        key for key, each in resources(template, "AWS::ECS::TaskDefinition").items() if "Volumes" in each["Properties"]
    ]
    assert [key.startswith("AirflowDatabase") for key in mounting] == [True]


def test_postgres_keeps_the_entry_point_of_its_image():
    """PostgreSQL has its image's entry point; Redis starts in a shell."""
    template = template_of(**BOTH)
    assert "EntryPoint" not in container(template, "Database")
    assert container(template, "Broker")["EntryPoint"] == ["sh", "-c"]


@pytest.mark.parametrize("component", ["Database", "Broker"])
def test_ecs_never_runs_two_tasks_of_a_store(component):
    """ECS stops a store's old task before it starts the new one."""
    _, service = of(template_of(**BOTH), "AWS::ECS::Service", f"Airflow{component}")
    deployment = service["DeploymentConfiguration"]
    assert (service["DesiredCount"], service["LaunchType"]) == (1, "FARGATE")
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (0, 100)
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert service["AvailabilityZoneRebalancing"] == "DISABLED"
    assert "CapacityProviderStrategy" not in service


@VERSIONS
def test_clients_use_the_dns_names_of_stores_in_containers(version):
    """Clients use a store's DNS name in the cluster's private zone."""
    template = template_of(version=version, **BOTH)
    _, zone = of(template, "AWS::ServiceDiscovery::PrivateDnsNamespace")
    names = {each["Properties"]["Name"] for each in resources(template, "AWS::ServiceDiscovery::Service").values()}
    assert {"database", "broker"} <= names
    scheduler = {each["Name"]: each["Value"] for each in container(template, "ComponentsScheduler")["Environment"]}
    assert scheduler["METADATA_HOST"] == f"database.{zone['Name']}"
    assert scheduler["BROKER_HOST"] == f"broker.{zone['Name']}"
    for component, name in (("Database", "database"), ("Broker", "broker")):
        _, service = of(template, "AWS::ECS::Service", f"Airflow{component}")
        (registry,) = references(service["ServiceRegistries"])
        assert template["Resources"][registry]["Properties"]["Name"] == name


@VERSIONS
def test_a_store_depends_on_its_network_but_not_on_the_migration_gate(version):
    """The migration gate depends on the stores."""
    template = template_of(version=version, **BOTH)
    for component in ("Database", "Broker"):
        service, _ = of(template, "AWS::ECS::Service", f"Airflow{component}")
        before = waits_for(template, service)

        def all_of(kind, *beginnings):
            found = {key for key in resources(template, kind) if key.startswith(beginnings)}
            assert found, (kind, beginnings)
            return found

        needed = {
            *all_of("AWS::EC2::Route", "AirflowVpcPrivateSubnet"),
            *all_of("AWS::EC2::NatGateway", "AirflowVpc"),
            *all_of("AWS::EC2::SubnetRouteTableAssociation", "AirflowVpcPrivateSubnet"),
            *all_of("AWS::IAM::Policy", f"Airflow{component}ExecutionRole"),
            *all_of("AWS::EC2::SecurityGroupIngress", f"Airflow{component}Peerfrom"),
            *all_of("AWS::SecretsManager::Secret", f"Airflow{component}"),
        }
        if component == "Database":
            needed |= all_of("AWS::EFS::MountTarget", "AirflowDatabaseFiles")
            needed |= all_of("AWS::EC2::SecurityGroupIngress", "AirflowDatabaseFilesSecurityGroupfrom")
            needed |= all_of("AWS::EC2::SecurityGroupEgress", "AirflowDatabasePeerto")
            needed |= all_of("AWS::IAM::Policy", "AirflowDatabaseTaskRole")
        assert needed - before == set()
        assert not {key for key in before if template["Resources"][key]["Type"].startswith("Custom::")}
        assert not {key for key in before if template["Resources"][key]["Type"] == "AWS::ECS::Service"}


@VERSIONS
def test_the_migration_gate_and_services_depend_on_the_stores(version):
    """Services depend on the migration gate, which depends on both stores; clients of Redis depend on Redis, too."""
    template = template_of(version=version, **BOTH)
    (gate,) = resources(template, "Custom::AirflowMigration")
    stores = {
        key for key in resources(template, "AWS::ECS::Service") if key.startswith(("AirflowDatab", "AirflowBrok"))
    }
    assert len(stores) == 2
    assert stores <= {*template["Resources"][gate]["DependsOn"]}
    rules = {
        key
        for key in resources(template, "AWS::EC2::SecurityGroupIngress")
        if key.startswith(("AirflowDatabasePeerfrom", "AirflowBrokerPeerfrom"))
    }
    assert rules <= waits_for(template, gate)
    others = {key: each for key, each in resources(template, "AWS::ECS::Service").items() if key not in stores}
    assert len(others) == 5
    broker = next(key for key in stores if key.startswith("AirflowBroker"))
    for key, service in others.items():
        assert gate in service["DependsOn"], key
        uses = key.startswith(("AirflowComponentsScheduler", "AirflowPools"))
        assert (broker in service["DependsOn"]) == uses, key


def test_only_stores_in_containers_run_during_maintenance():
    """During maintenance only the stores run."""
    template = template_of(**BOTH, version=AirflowVersion.V2_11, maintenance=True)
    counts = {key: each["Properties"]["DesiredCount"] for key, each in resources(template, "AWS::ECS::Service").items()}
    running = {key for key, count in counts.items() if count}
    assert len(running) == 2
    assert all(key.startswith(("AirflowDatabaseService", "AirflowBrokerService")) for key in running)
    assert len(counts) == 7


def test_a_worker_pool_added_after_construction_may_connect_to_redis():
    """add_worker_pool adds a security group rule from the worker pool to Redis."""
    pools = [WorkerPool("default"), WorkerPool("heavy")]

    def later(app):
        cluster = add_cluster(Stack(app, "Data"), **BOTH)
        cluster.add_worker_pool(WorkerPool("heavy"))

    given = CeleryExecutor(broker=RedisBroker.container(), pools=pools)
    at_once = synthesize(lambda app: add_cluster(Stack(app, "Data"), database=ContainerDatabase(), executor=given))
    one, other = synthesize(later).templates["Data"], at_once.templates["Data"]
    assert {key: flat(value) for key, value in one.items()} == {key: flat(value) for key, value in other.items()}


def test_stores_in_containers_always_log_to_cloudwatch():
    """PostgreSQL and Redis log to CloudWatch Logs, even if services use a log router."""
    options = {"Name": "cloudwatch", "region": "eu-central-1", "log_group_name": "g", "log_stream_prefix": "p"}
    template = template_of(**BOTH, log_router=FireLens(options=options))
    for component in ("Database", "Broker"):
        assert container(template, component)["LogConfiguration"]["LogDriver"] == "awslogs"


def test_enable_exec_permits_a_shell_in_store_containers():
    """enable_exec=True permits a shell in stores."""
    template = template_of(**BOTH, enable_exec=True)
    for component in ("Database", "Broker"):
        _, service = of(template, "AWS::ECS::Service", f"Airflow{component}")
        assert service["EnableExecuteCommand"] is True
        _, policy = of(template, "AWS::IAM::Policy", f"Airflow{component}TaskRole")
        assert "ssmmessages:OpenDataChannel" in json.dumps(policy)


def test_a_warning_explains_that_a_store_is_for_development():
    """A warning explains that each store in a container is for development."""
    stack = Stack(App(), "Data")
    add_cluster(stack, **BOTH)
    found = Annotations.from_stack(stack).find_warning("*", Match.string_like_regexp("for development"))
    assert len(found) == 2
    ids = " ".join(entry.entry.data for entry in found)
    assert "cdk-airflow-ecs:container-database" in ids
    assert "cdk-airflow-ecs:container-broker" in ids


def given_vpc(stack, *zones):
    """Return an imported VPC with one private subnet for each of *zones*."""
    names = [f"subnet-{number}" for number in range(len(zones))]
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Given",
        vpc_id="vpc-1",
        vpc_cidr_block="10.0.0.0/16",
        availability_zones=sorted(set(zones)),
        private_subnet_ids=names,
        private_subnet_route_table_ids=[f"rtb-{number}" for number in range(len(zones))],
    )


def test_the_file_system_has_one_mount_target_per_availability_zone():
    """Of two subnets in a zone, only the first has a mount target."""
    zones = ["eu-central-1a", "eu-central-1b", "eu-central-1a", "eu-central-1b"]
    template = template_of(**BOTH, vpc=lambda stack: given_vpc(stack, *zones))
    targets = [each["Properties"] for each in resources(template, "AWS::EFS::MountTarget").values()]
    assert [target["SubnetId"] for target in targets] == ["subnet-0", "subnet-1"]
    # The load balancer also uses only the first subnet of a zone.
    (balancer,) = resources(template, "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    assert balancer["Properties"]["Subnets"] == ["subnet-0", "subnet-1"]
    groups = {json.dumps(target["SecurityGroups"]) for target in targets}
    assert len(groups) == 1


KINDS = {
    "RDS": {"database": RdsDatabase()},
    "Aurora": {"database": AuroraDatabase()},
    "container": {"database": ContainerDatabase()},
    "both containers": BOTH,
    "Redis in a container": {"executor": REDIS},
}


@pytest.mark.parametrize("before", KINDS)
@pytest.mark.parametrize("after", KINDS)
def test_switching_to_stores_in_containers_changes_no_resource_type(before, after):
    """CloudFormation would reject a template in which a logical id has another resource type."""
    old, new = (template_of(**KINDS[name])["Resources"] for name in (before, after))
    assert {key for key in old.keys() & new.keys() if old[key]["Type"] != new[key]["Type"]} == set()


@pytest.mark.parametrize("kind", KINDS)
def test_switching_to_stores_in_containers_keeps_the_passwords(kind):
    """The container of a store has the same password secret as RDS or ElastiCache."""
    ours, others = template_of(**KINDS[kind]), template_of()
    for beginning in ("AirflowDatabaseCredentials", "AirflowBrokerToken"):
        assert of(ours, "AWS::SecretsManager::Secret", beginning) == of(
            others, "AWS::SecretsManager::Secret", beginning
        )


def test_the_migration_runs_again_for_another_database():
    """The task definition of the migration contains the database host."""
    definitions = [
        of(template_of(**KINDS[kind]), "AWS::ECS::TaskDefinition", "AirflowGate")[1] for kind in ("RDS", "container")
    ]
    assert definitions[0] != definitions[1]


def test_the_migration_does_not_run_again_for_another_size_of_postgres():
    """Another minor release of PostgreSQL does not run the migration again either."""
    other = ContainerDatabase(image="public.ecr.aws/docker/library/postgres:17.9", cpu=512)
    definitions = [
        of(template_of(**arguments), "AWS::ECS::TaskDefinition", "AirflowGate")[1]
        for arguments in (KINDS["container"], {"database": other})
    ]
    assert definitions[0] == definitions[1]


if __name__ == "__main__":
    FILE.write_text(json.dumps(stateful(database=ContainerDatabase()), indent=2, sort_keys=True) + "\n")
