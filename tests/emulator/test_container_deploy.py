"""Stores in containers, through the real `cdk` command, on an emulated account: the example, and a change of stores."""

import json

import pytest

from . import readback
from .server import INTERPRETER, REPOSITORY, Emulator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("emulator"),
    pytest.mark.skipif(
        not INTERPRETER.exists(), reason="needs the environment of the extra [local]: make environments"
    ),
]

EXAMPLE = f"python {REPOSITORY / 'examples' / 'celery-redis-container' / 'app.py'}"
VARIANT = f"python {REPOSITORY / 'tests' / 'emulator' / 'apps' / 'containers.py'}"


@pytest.fixture(scope="module")
def cdk(tmp_path_factory):
    """Runs `cdk` on an emulated account of its own that is bootstrapped."""
    folder = tmp_path_factory.mktemp("containers")
    with Emulator(folder / "server.log") as emulator:

        def run(*words, succeeds=True, **env):
            done = emulator.cdk(*words, "--no-notices", cwd=folder, **env)
            assert succeeds is None or done.returncode == 0, done.stdout + done.stderr
            return done.stdout + done.stderr

        run.emulator = emulator
        run("bootstrap", "aws://123456789012/us-east-1")
        yield run


def deploy(cdk, name, app, **env):
    """Deploys *app*; returns what the API says of its stack, and what happened this time."""
    cloudformation = cdk.emulator.client("cloudformation")
    known = [each["StackName"] for each in cloudformation.describe_stacks()["Stacks"]]
    before = len(events(cdk, name)) if name in known else 0
    cdk("deploy", "--app", app, "--require-approval", "never", **env)
    return readback.Stack(cdk.emulator.client, name), events(cdk, name)[before:]


def events(cdk, name):
    """Everything that happened to a stack, in order, as (logical id, status)."""
    found = cdk.emulator.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"][::-1]
    return [(event["LogicalResourceId"], event["ResourceStatus"]) for event in found]


def differences(stack):
    """Every property that the API says otherwise."""
    return [line for name in stack.bodies for line in stack.differences(name)]


def logical(stack, kind, beginning="Airflow"):
    """The logical ids of a type."""
    return [name for name, body in stack.bodies.items() if body["Type"] == kind and name.startswith(beginning)]


def test_the_example(cdk):
    """Files, then the database, then the migration, then the services; each property reads back; nothing is left."""
    stack, happened = deploy(cdk, "AirflowDev", EXAMPLE)
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
    for name in [*logical(stack, "AWS::EFS::MountTarget"), *logical(stack, "AWS::EC2::SecurityGroupEgress")]:
        assert happened.index((name, "CREATE_COMPLETE")) < database, name
    (ran,) = cdk.emulator.ran
    assert ran["containers"][0]["image"] == "apache/airflow:2.8.1-python3.11"

    cdk("destroy", "--app", EXAMPLE, "--force", succeeds=None)
    left = cdk.emulator.client("cloudformation").describe_stack_resources(StackName=stack.id)["StackResources"]
    # The emulator writes down that objects were deleted from the bucket of access logs, in that bucket.
    assert {each["ResourceType"] for each in left if each["ResourceStatus"] != "DELETE_COMPLETE"} <= {"AWS::S3::Bucket"}
    assert cdk.emulator.client("efs").describe_file_systems()["FileSystems"] == []


def test_other_stores_and_back(cdk):
    """Each change of kind deploys, migrates the new database, keeps both passwords, and leaves nothing of the old."""
    first, _ = deploy(cdk, "Containers", VARIANT)
    secrets = {name: first.ids[name] for name in logical(first, "AWS::SecretsManager::Secret")}
    values = {name: secret(cdk, arn) for name, arn in secrets.items()}
    for containers, kinds in (
        ("1", {"AWS::EFS::FileSystem"}),
        ("", {"AWS::RDS::DBInstance", "AWS::ElastiCache::ReplicationGroup"}),
    ):
        ran = len(cdk.emulator.ran)
        stack, happened = deploy(cdk, "Containers", VARIANT, TEST_CONTAINERS=containers)
        assert differences(stack) == []
        stores = {"AWS::EFS::FileSystem", "AWS::RDS::DBInstance", "AWS::ElastiCache::ReplicationGroup"}
        assert {body["Type"] for body in stack.bodies.values()} & stores == kinds
        assert len(cdk.emulator.ran) == ran + 1
        (gate,) = logical(stack, "Custom::AirflowMigration")
        migrated = happened.index((gate, "UPDATE_COMPLETE"))
        for name in logical(stack, "AWS::ECS::Service", "AirflowComponents"):
            assert happened.index((name, "UPDATE_IN_PROGRESS")) > migrated, name
        assert not [name for name, status in happened if status.endswith("FAILED")]
        assert {name: stack.ids[name] for name in secrets} == secrets
        for name, before in values.items():
            now = secret(cdk, secrets[name])
            assert now.get("password", now) == before.get("password", before), name


def secret(cdk, arn):
    """What a secret holds, as a mapping."""
    text = cdk.emulator.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return json.loads(text) if text.startswith("{") else {"": text}
