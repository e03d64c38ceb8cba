"""The migration gate in the template: its dependencies, and what makes it run again."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds
from test_security import several

from cdk_airflow_ecs import (
    AirflowImage,
    AirflowVersion,
    AuroraDatabase,
    CeleryExecutor,
    ContainerDatabase,
    ExistingDatabase,
    LocalExecutor,
    Service,
)
from cdk_airflow_ecs.testing import plan_of
from synthesis import flat, references, resources, template_of

EXISTING = ExistingDatabase(
    endpoint="db.example.com",
    secret=SimpleNamespace(secret_arn="arn:aws:secretsmanager:eu-central-1:123456789012:secret:s-AbCdEf"),
)

pytestmark = pytest.mark.xdist_group("synth")

CLUSTERS = {
    "3.3 Celery": {"version": AirflowVersion.V3_3, "executor": CeleryExecutor()},
    "2.11 Local": {"version": AirflowVersion.V2_11, "executor": LocalExecutor()},
}


def gate(template):
    """Return the custom resource of the migration gate."""
    (found,) = resources(template, "Custom::AirflowMigration").values()
    return found


def task(template):
    """Return the properties of the migration's task definition."""
    return template["Resources"][gate(template)["Properties"]["TaskDefinition"]["Ref"]]["Properties"]


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


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_migration_gate_depends_on_the_resources_that_the_task_uses(name):
    """These are the database, secrets, IAM policies, log groups, security group rules and the network."""
    template = template_of(**CLUSTERS[name])
    everything = template["Resources"]
    (gate_id,) = resources(template, "Custom::AirflowMigration")
    before = waits_for(template, gate_id)

    def all_of(kind, *beginnings):
        found = {key for key in resources(template, kind) if key.startswith(beginnings)}
        assert found, (kind, beginnings)
        return found

    needed = {
        *all_of("AWS::RDS::DBInstance", "AirflowDatabase"),
        *all_of("AWS::SecretsManager::SecretTargetAttachment", "AirflowDatabase"),
        *all_of("AWS::SecretsManager::Secret", "AirflowSecretsFernet", "AirflowSecretsAdmin", "AirflowDatabase"),
        *all_of("AWS::EC2::SecurityGroupIngress", "AirflowDatabaseSecurityGroupfromDataAirflowGatePeer"),
        *all_of("AWS::IAM::Policy", "AirflowGateHandlerRole", "AirflowGateHandOver", "AirflowGateExecutionRole"),
        *all_of("AWS::Logs::LogGroup", "AirflowLogsContainers", "AirflowGateHandlerLogs"),
        *all_of("AWS::EC2::Route", "AirflowVpcPrivateSubnet"),
        *all_of("AWS::EC2::SubnetRouteTableAssociation", "AirflowVpcPrivateSubnet"),
        *all_of("AWS::EC2::NatGateway", "AirflowVpc"),
        *all_of("AWS::Lambda::Function", "AirflowGateHandler"),
    }
    assert needed - before == set()
    assert not {key for key in before if everything[key]["Type"] == "AWS::ECS::Service"}


def aurora(stack):
    """Return an Aurora cluster that the user created."""
    version = rds.AuroraPostgresEngineVersion.of("17.4", "17")
    cluster = rds.DatabaseCluster(
        stack,
        "Yours",
        engine=rds.DatabaseClusterEngine.aurora_postgres(version=version),
        vpc=stack.node.find_child("Vpc"),
        writer=rds.ClusterInstance.serverless_v2("Writer"),
    )
    return ExistingDatabase(cluster)


def test_the_migration_waits_for_the_writer_of_an_existing_aurora():
    """The address of an Aurora cluster exists before its writer instance."""
    template = template_of(vpc=lambda stack: ec2.Vpc(stack, "Vpc"), database=aurora)
    (gate_id,) = resources(template, "Custom::AirflowMigration")
    needed = {*resources(template, "AWS::RDS::DBInstance", "AWS::SecretsManager::SecretTargetAttachment")}
    assert len(needed) == 2
    assert needed - waits_for(template, gate_id) == set()


@pytest.mark.parametrize("name", CLUSTERS)
def test_every_service_depends_on_the_migration(name):
    """Every service depends on the migration."""
    template = template_of(**CLUSTERS[name])
    (gate_id,) = resources(template, "Custom::AirflowMigration")
    services = resources(template, "AWS::ECS::Service")
    assert len(services) >= 4
    assert [key for key, service in services.items() if gate_id not in service["DependsOn"]] == []


@pytest.mark.parametrize("name", CLUSTERS)
def test_only_another_task_definition_or_release_makes_the_migration_gate_run_again(name):
    """No other property of the custom resource changes."""
    properties = gate(template_of(**CLUSTERS[name]))["Properties"]
    assert {*properties} == {"ServiceToken", "ServiceTimeout", "TaskDefinition", "Release"}
    assert properties["Release"] == name.split()[0]


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({}, "snapshot"),
        ({"database": AuroraDatabase()}, "cluster-snapshot"),
        ({"snapshot_before_migration": False}, ""),
        ({"database": ContainerDatabase()}, ""),
    ],
    ids=["rds", "aurora", "off", "container"],
)
def test_the_migration_gate_may_only_take_and_delete_its_own_snapshots(arguments, kind):
    """Names of snapshots start with the cluster's digest. Other databases need no permission and no release."""
    template = template_of(**arguments)
    (role,) = (each for name, each in resources(template, "AWS::IAM::Role").items() if "GateHandlerRole" in name)
    statements = flat(role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"])
    (function,) = (each for name, each in resources(template, "AWS::Lambda::Function").items() if "GateHand" in name)
    variables = function["Properties"]["Environment"]["Variables"]
    found = {json.dumps(each["Action"]): each["Resource"] for each in statements if "rds:" in str(each["Action"])}
    assert ("Release" in gate(template)["Properties"]) == ("SNAPSHOT_PREFIX" in variables) == bool(kind)
    if not kind:
        assert found == {}
        return
    api = "DBCluster" if kind == "cluster-snapshot" else "DB"
    names = {action: [arn.partition(":<AWS::AccountId>:")[2] for arn in several(found[action])] for action in found}
    database = f"{'cluster' if api == 'DBCluster' else 'db'}:{flat(variables['DATABASE'])}"
    own = f"{kind}:{variables['SNAPSHOT_PREFIX']}-*"
    assert names == {
        f'"rds:Create{api}Snapshot"': [database, own],
        f'["rds:AddTagsToResource", "rds:Delete{api}Snapshot"]': [own],
        f'"rds:Describe{api}Snapshots"': [database, f"{kind}:*"],
    }
    assert variables["DATABASE_KIND"] == ("cluster" if api == "DBCluster" else "instance")
    assert variables["SNAPSHOTS_LEFT"] == "all"


def test_snapshots_are_deleted_with_the_data_of_the_stack():
    """With RemovalPolicy.DESTROY, nothing remains that costs money."""
    template = template_of(removal_policy=RemovalPolicy.DESTROY)
    (function,) = (each for name, each in resources(template, "AWS::Lambda::Function").items() if "GateHand" in name)
    assert function["Properties"]["Environment"]["Variables"]["SNAPSHOTS_LEFT"] == "none"


@pytest.mark.parametrize("database", [ContainerDatabase(), EXISTING], ids=["container", "existing"])
def test_a_snapshot_of_a_database_without_snapshots_is_refused(database):
    """The error has the argument and the remedy."""
    with pytest.raises(ValueError, match="snapshot_before_migration=True is not compatible with database="):
        plan_of(database=database, snapshot_before_migration=True)
    assert plan_of(database=database, snapshot_before_migration=False)


UNRELATED = {
    "config": {"config": {"core": {"parallelism": 64}}},
    "environment of a component": {"scheduler": Service(environment={"STAGE": "test"})},
    "sizes": {"scheduler": Service(cpu=2048, memory_mib=4096), "api_server": Service(count=3)},
    "executor": {"executor": LocalExecutor()},
    "shells": {"enable_exec": True},
    "maintenance": {"maintenance": True},
}
RELATED = {
    "image": {"image": AirflowImage.registry("example.com/airflow:3.3.2-2")},
    "version": {"version": AirflowVersion.V3_2},
    "pool of database connections": {"config": {"database": {"sql_alchemy_pool_size": 20}}},
}


@pytest.mark.parametrize("change", UNRELATED)
def test_an_unrelated_change_does_not_run_the_migration_again(change):
    """A change that does not affect the database keeps the migration's task definition."""
    assert task(template_of(**UNRELATED[change])) == task(template_of())


@pytest.mark.parametrize("change", RELATED)
def test_another_airflow_release_or_image_runs_the_migration_again(change):
    """Another Airflow release or image changes the migration's task definition."""
    assert task(template_of(**RELATED[change])) != task(template_of())


def test_another_airflow_release_with_the_same_image_name_runs_the_migration():
    """The image behind an unchanged tag may be another one."""
    image = AirflowImage.registry("example.com/airflow:latest")
    one, other = (task(template_of(version=version, image=image)) for version in AirflowVersion.ALL[-2:])
    assert one != other
