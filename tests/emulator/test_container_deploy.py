"""Deploys, replaces and destroys PostgreSQL and Redis containers in an emulated AWS account."""

import json

import pytest

from . import readback
from .server import INTERPRETER, REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("emulator"),
    pytest.mark.skipif(
        not INTERPRETER.exists(), reason="needs the environment of the extra [local]: make environments"
    ),
]

EXAMPLE = REPOSITORY / "examples/celery-redis-container/app.py"
VARIANT = REPOSITORY / "tests/emulator/apps/containers.py"


def deploy(emulator, name, app, **env):
    """Deploy *app*; return its stack and the stack events of this deployment."""
    cloudformation = emulator.client("cloudformation")
    known = [each["StackName"] for each in cloudformation.describe_stacks()["Stacks"]]
    before = len(events(emulator, name)) if name in known else 0
    emulator.deploy(app, **env)
    return readback.Stack(emulator.client, name), events(emulator, name)[before:]


def events(emulator, name):
    """Return the events of a stack, in order, as (logical id, status)."""
    found = emulator.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"][::-1]
    return [(event["LogicalResourceId"], event["ResourceStatus"]) for event in found]


def differences(stack):
    """Return every property whose value in the API differs from the template."""
    return [line for name in stack.bodies for line in stack.differences(name)]


def logical(stack, kind, beginning="Airflow"):
    """Return the logical ids of a resource type."""
    return [name for name, body in stack.bodies.items() if body["Type"] == kind and name.startswith(beginning)]


def test_the_container_example_creates_stores_then_migration_then_services(emulator):
    """The order is stores, migration, services; `cdk destroy` deletes all resources."""
    before = len(emulator.ran)
    stack, happened = deploy(emulator, "AirflowDev", EXAMPLE)
    assert differences(stack) == []
    (gate,) = logical(stack, "Custom::AirflowMigration")
    services = logical(stack, "AWS::ECS::Service")
    stores = [name for name in services if name.startswith(("AirflowDatabase", "AirflowBroker"))]
    assert (len(services), len(stores)) == (7, 2)
    migration = happened.index((gate, "CREATE_IN_PROGRESS"))
    for name in services:
        if name in stores:
            assert happened.index((name, "CREATE_COMPLETE")) < migration
        else:
            assert happened.index((name, "CREATE_IN_PROGRESS")) > happened.index((gate, "CREATE_COMPLETE"))
    database = happened.index((next(name for name in stores if "Database" in name), "CREATE_IN_PROGRESS"))
    # Check only the egress rule of the database, because that of the load balancer may be created later.
    (egress,) = logical(stack, "AWS::EC2::SecurityGroupEgress", "AirflowDatabase")
    for name in [*logical(stack, "AWS::EFS::MountTarget"), egress]:
        assert happened.index((name, "CREATE_COMPLETE")) < database, name
    (ran,) = emulator.ran[before:]
    assert ran["containers"][0]["image"] == "apache/airflow:2.8.1-python3.11"

    emulator.stack("destroy", EXAMPLE, "--force", succeeds=None)
    left = emulator.client("cloudformation").describe_stack_resources(StackName=stack.id)["StackResources"]
    # Emptying the bucket of access logs writes new access logs to the bucket, so it remains.
    assert {each["ResourceType"] for each in left if each["ResourceStatus"] != "DELETE_COMPLETE"} <= {"AWS::S3::Bucket"}
    assert emulator.client("efs").describe_file_systems()["FileSystems"] == []


def test_switching_to_stores_in_containers_migrates_the_new_database(emulator):
    """Replacing AWS services by containers and back migrates each new database and keeps passwords."""
    first, _ = deploy(emulator, "Containers", VARIANT)
    secrets = {name: first.ids[name] for name in logical(first, "AWS::SecretsManager::Secret")}
    values = {name: secret(emulator, arn) for name, arn in secrets.items()}
    for containers, kinds in (
        ("1", {"AWS::EFS::FileSystem"}),
        ("", {"AWS::RDS::DBInstance", "AWS::ElastiCache::ReplicationGroup"}),
    ):
        ran = len(emulator.ran)
        stack, happened = deploy(emulator, "Containers", VARIANT, TEST_CONTAINERS=containers)
        assert differences(stack) == []
        stores = {"AWS::EFS::FileSystem", "AWS::RDS::DBInstance", "AWS::ElastiCache::ReplicationGroup"}
        assert {body["Type"] for body in stack.bodies.values()} & stores == kinds
        assert len(emulator.ran) == ran + 1
        (gate,) = logical(stack, "Custom::AirflowMigration")
        migrated = happened.index((gate, "UPDATE_COMPLETE"))
        for name in logical(stack, "AWS::ECS::Service", "AirflowComponents"):
            assert happened.index((name, "UPDATE_IN_PROGRESS")) > migrated, name
        assert not [name for name, status in happened if status.endswith("FAILED")]
        assert {name: stack.ids[name] for name in secrets} == secrets
        for name, before in values.items():
            now = secret(emulator, secrets[name])
            assert now.get("password", now) == before.get("password", before), name


def secret(emulator, arn):
    """Return a secret's value as a mapping."""
    text = emulator.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return json.loads(text) if text.startswith("{") else {"": text}
