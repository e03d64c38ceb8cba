"""Aurora in the template: properties, and the committed logical ids.

``PYTHONPATH=tests python tests/synth/test_aurora_template.py`` writes ``ids/aurora.json`` again.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aws_cdk import RemovalPolicy, Stack

from cdk_airflow_ecs import AuroraDatabase, EcsExecutor
from synthesis import add_cluster, flat, references, resources, strings, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")

FILE = Path(__file__).parent / "ids" / "aurora.json"
# Per resource type, as in test_ids.py: properties whose change replaces the resource or its content.
KINDS = {
    "AWS::RDS::DBCluster": [
        *("DBClusterIdentifier", "DatabaseName", "DBSubnetGroupName", "KmsKeyId", "MasterUsername", "Engine"),
        *("StorageEncrypted", "SnapshotIdentifier", "SourceDBClusterIdentifier", "AvailabilityZones", "EngineMode"),
        *("GlobalClusterIdentifier", "ClusterScalabilityType", "PubliclyAccessible", "Port"),
    ],
    "AWS::RDS::DBInstance": [
        *("DBInstanceIdentifier", "DBClusterIdentifier", "DBSubnetGroupName", "Engine", "AvailabilityZone", "KmsKeyId"),
        *("StorageEncrypted", "MasterUsername", "CustomIAMInstanceProfile", "DBParameterGroupName"),
    ],
    "AWS::RDS::DBSubnetGroup": ["DBSubnetGroupName", "SubnetIds"],
    "AWS::RDS::DBClusterParameterGroup": ["DBClusterParameterGroupName", "Description", "Family"],
}
CLUSTER, WRITER, READER = "AWS::RDS::DBCluster", "AirflowDatabaseClusterWriter", "AirflowDatabaseClusterReader"


def stateful(**arguments):
    """Return type and create-only properties of the database's resources, by logical id."""
    found = resources(template_of(**arguments), *KINDS)
    return {
        name: {
            "Type": resource["Type"],
            **{key: resource["Properties"][key] for key in KINDS[resource["Type"]] if key in resource["Properties"]},
        }
        for name, resource in found.items()
    }


def cluster_of(**arguments):
    """Return the database cluster of a template."""
    (found,) = resources(template_of(**arguments), CLUSTER).values()
    return found


def test_aurora_has_the_committed_logical_ids():
    """The resources of Aurora have the committed logical ids and create-only properties."""
    assert stateful(database=AuroraDatabase()) == json.loads(FILE.read_text())


@pytest.mark.parametrize(
    "arguments",
    [
        {
            "database": AuroraDatabase(
                min_capacity=2,
                max_capacity=64,
                backup_retention_days=35,
                engine_version="17.4",
                io_optimized=True,
                deletion_protection=False,
            )
        },
        {"database": AuroraDatabase(), "executor": EcsExecutor()},
        {"database": AuroraDatabase(), "removal_policy": RemovalPolicy.DESTROY},
        {"database": AuroraDatabase(), "removal_policy": RemovalPolicy.RETAIN},
    ],
    ids=["size", "executor", "DESTROY", "RETAIN"],
)
def test_changed_arguments_replace_no_resource_of_aurora(arguments):
    """These arguments change no logical id and no create-only property."""
    assert stateful(**arguments) == json.loads(FILE.read_text())


@pytest.mark.parametrize("readers", [0, 2, 15])
def test_another_number_of_readers_only_adds_or_removes_readers(readers):
    """Changing readers= only adds or removes reader instances."""
    committed, found = json.loads(FILE.read_text()), stateful(database=AuroraDatabase(readers=readers))
    same = {name for name in committed if not name.startswith(READER)}
    assert {name: found[name] for name in same} == {name: committed[name] for name in same}
    assert len(found) == len(same) + readers
    assert {name: found[name] for name in found if name in committed} == {
        name: committed[name] for name in committed if name in found
    }


def test_another_major_release_replaces_only_the_parameter_group():
    """Another major release of PostgreSQL replaces no resource of Aurora that holds data."""
    committed, found = json.loads(FILE.read_text()), stateful(database=AuroraDatabase(engine_version="16.11"))
    assert committed.keys() == found.keys()
    (changed,) = (name for name in committed if committed[name] != found[name])
    assert found[changed]["Type"] == "AWS::RDS::DBClusterParameterGroup"
    assert found[changed]["Family"] == "aurora-postgresql16"


def test_clusters_with_aurora_and_rds_differ_only_in_the_database():
    """All resources except those of the database server and of the migration gate are equal."""
    rds, aurora = template_of()["Resources"], template_of(database=AuroraDatabase())["Resources"]
    prefix = "AirflowDatabase"
    assert {name[len(prefix) : -8] for name in rds.keys() - aurora.keys()} == {"Instance", "Parameters"}
    assert {name[len(prefix) : -8] for name in aurora.keys() - rds.keys()} == {
        *("Cluster", "ClusterWriter", "ClusterReader1", "ClusterParameters")
    }
    (instance,) = (name for name in rds if name.startswith(f"{prefix}Instance"))
    (cluster,) = resources(template_of(database=AuroraDatabase()), CLUSTER)

    def same(resource):
        """Return a resource as text without the database server's name, port and dependencies."""
        text = json.dumps(flat({key: value for key, value in resource.items() if key != "DependsOn"}))
        for server in (instance, cluster):
            text = text.replace(f"<{server}.Endpoint.Address>", "HOST").replace(f"<{server}>", "SERVER")
        text = text.replace(f"<{instance}.Endpoint.Port>", "5432")
        return text.replace("AWS::RDS::DBInstance", "KIND").replace("AWS::RDS::DBCluster", "KIND")

    shared = rds.keys() & aurora.keys()
    # The migration gate takes snapshots of an instance or of a cluster.
    assert {name[:-8] for name in shared if same(rds[name]) != same(aurora[name])} == {
        *("AirflowGateHandler", "AirflowGateHandlerRole")
    }
    assert "HOST" in "".join(same(rds[name]) for name in shared)


def test_the_migration_waits_for_every_aurora_instance():
    """An Aurora cluster without an instance accepts no connections."""
    template = template_of(database=AuroraDatabase(readers=2))
    (gate,) = resources(template, "Custom::AirflowMigration").values()
    instances = {*resources(template, "AWS::RDS::DBInstance")}
    assert len(instances) == 3
    assert instances <= {*gate["DependsOn"]}
    for name, instance in resources(template, "AWS::RDS::DBInstance").items():
        writer = {other for other in instances if other.startswith(WRITER)} - {name}
        assert writer <= {*instance["DependsOn"]}


def test_aurora_is_encrypted_and_protected_from_deletion():
    """Aurora is encrypted, requires TLS, and is protected from deletion."""
    cluster = cluster_of(database=AuroraDatabase())
    properties = cluster["Properties"]
    expected = {
        "StorageEncrypted": True,
        "DeletionProtection": True,
        "EnableIAMDatabaseAuthentication": True,
        "CopyTagsToSnapshot": True,
        "DeleteAutomatedBackups": False,
        "BackupRetentionPeriod": 7,
        "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 4},
        "EnableCloudwatchLogsExports": ["postgresql"],
    }
    assert {name: properties[name] for name in expected} == expected
    assert any(name.startswith("AirflowSecretsKey") for name in references(properties["KmsKeyId"]))
    assert (cluster["DeletionPolicy"], cluster["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")
    template = template_of(database=AuroraDatabase())
    (group,) = resources(template, "AWS::RDS::DBClusterParameterGroup").values()
    assert group["Properties"]["Parameters"]["rds.force_ssl"] == "1"
    for instance in resources(template, "AWS::RDS::DBInstance").values():
        assert instance["Properties"]["PubliclyAccessible"] is False
        assert instance["Properties"]["DBInstanceClass"] == "db.serverless"
        assert instance["Properties"]["MonitoringInterval"] == 60
        assert instance["Properties"]["PromotionTier"] in (0, 1)  # readers of other tiers do not scale with the writer


def test_the_only_dynamic_references_are_the_initial_passwords():
    """CloudFormation resolves no secret except the initial passwords."""
    template = template_of(database=AuroraDatabase())
    found = {
        (resource["Type"], name)
        for resource in template["Resources"].values()
        for name, value in resource.get("Properties", {}).items()
        if any("{{resolve:" in text for text in strings(value))
    }
    assert found == {(CLUSTER, "MasterUserPassword"), ("AWS::ElastiCache::ReplicationGroup", "AuthToken")}


def test_io_optimized_storage_is_a_property_of_the_aurora_cluster():
    """AWS changes the storage type without replacing the Aurora cluster."""
    assert "StorageType" not in cluster_of(database=AuroraDatabase())["Properties"]
    assert cluster_of(database=AuroraDatabase(io_optimized=True))["Properties"]["StorageType"] == "aurora-iopt1"


def test_removal_policy_destroy_deletes_all_resources_of_aurora():
    """With `RemovalPolicy.DESTROY`, no resource of Aurora has another deletion policy than Delete."""
    arguments = {"database": AuroraDatabase(), "removal_policy": RemovalPolicy.DESTROY}
    kept = [
        resource.get("DeletionPolicy", "Delete") for resource in resources(template_of(**arguments), *KINDS).values()
    ]
    assert {*kept} == {"Delete"}
    properties = cluster_of(**arguments)["Properties"]
    assert (properties["DeletionProtection"], properties["DeleteAutomatedBackups"]) == (False, True)


def test_removal_policy_retain_keeps_all_resources_that_aurora_needs():
    """With `RemovalPolicy.RETAIN`, parameter group and subnet group are kept as well."""
    template = template_of(database=AuroraDatabase(), removal_policy=RemovalPolicy.RETAIN)
    assert {resource["DeletionPolicy"] for resource in resources(template, *KINDS).values()} == {"Retain"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"database": AuroraDatabase(readers=0, deletion_protection=False)},
        {"database": AuroraDatabase(io_optimized=True), "removal_policy": RemovalPolicy.DESTROY},
    ],
    ids=["unprotected", "DESTROY"],
)
def test_all_cdk_nag_findings_are_acknowledged(arguments):
    """All cdk-nag findings of Aurora are acknowledged, and no acknowledgement is unused."""
    assembly = synthesize(lambda app: add_cluster(Stack(app, "Data"), **arguments), nag=True)
    used = {(found["acknowledgedAt"], found["acknowledgedId"]) for found in assembly.nag["suppressedViolations"]}
    assert (assembly.nag["violations"], assembly.acknowledgements) == ([], used)


if __name__ == "__main__":
    FILE.write_text(json.dumps(stateful(database=AuroraDatabase()), indent=2, sort_keys=True) + "\n")
