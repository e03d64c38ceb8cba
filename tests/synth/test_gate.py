"""The migration gate in the template: its dependencies, and what makes it run again."""

from __future__ import annotations

import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds

from cdk_airflow_ecs import AirflowImage, AirflowVersion, CeleryExecutor, ExistingDatabase, LocalExecutor, Service
from synthesis import references, resources, template_of

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
def test_only_another_task_definition_makes_the_migration_gate_run_again(name):
    """No other property of the custom resource changes."""
    assert {*gate(template_of(**CLUSTERS[name]))["Properties"]} == {"ServiceToken", "ServiceTimeout", "TaskDefinition"}


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
