"""Deploys, changes and destroys the Aurora example in an emulated AWS account."""

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

EXAMPLE = REPOSITORY / "examples/aurora/app.py"
VARIANT = REPOSITORY / "tests/emulator/apps/aurora.py"
STACK = "Aurora"


def deploy(emulator, app, **env):
    """Deploy *app*; return the stack and its events."""
    emulator.deploy(app, **env)
    events = emulator.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"][::-1]
    return readback.Stack(emulator.client, STACK), [(e["LogicalResourceId"], e["ResourceStatus"]) for e in events]


def differences(stack):
    """Return every property whose value in the API differs from the template."""
    return [line for name in stack.bodies for line in stack.differences(name)]


def databases(stack):
    """Return the ids of the database cluster and its instances by logical id."""
    kinds = ("AWS::RDS::DBCluster", "AWS::RDS::DBInstance")
    return {name: stack.ids[name] for name, body in stack.bodies.items() if body["Type"] in kinds}


def test_aurora_readers_are_added_and_removed_and_destroy_keeps_a_snapshot(emulator):
    """The example deploys as declared, adds and removes readers, and leaves a snapshot."""
    stack, events = deploy(emulator, EXAMPLE)
    assert differences(stack) == []
    first = databases(stack)
    assert len(first) == 3
    migrated = next(number for number, (name, _) in enumerate(events) if "GateMigration" in name)
    done = {name for name, status in events[:migrated] if status == "CREATE_COMPLETE"}
    assert {*first} <= done

    # Two more readers, more capacity, I/O-Optimized storage, and task logs in a log group instead of a bucket.
    stack, _ = deploy(emulator, VARIANT, TEST_READERS="3")
    assert differences(stack) == []
    grown = databases(stack)
    assert {name: grown[name] for name in first} == first
    assert len(grown) == 5
    (group,) = (name for name in stack.ids if name.startswith("AirflowLogsTaskGroup"))
    (found,) = emulator.client("logs").describe_log_groups(logGroupNamePrefix=stack.ids[group])["logGroups"]
    assert (found["retentionInDays"], "kmsKeyId" in found) == (30, True)

    # A newer release: the gate takes a snapshot first.
    stack, _ = deploy(emulator, VARIANT, TEST_READERS="0", TEST_VERSION="3.4.0")
    found = emulator.client("rds").describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    assert len([each for each in found if "-before-3-4-" in each["DBClusterSnapshotIdentifier"]]) == 1
    assert differences(stack) == []
    (cluster,) = (name for name in first if stack.bodies.get(name, {}).get("Type") == "AWS::RDS::DBCluster")
    left = databases(stack)
    assert left == {name: first[name] for name in left}
    assert len(left) == 2

    output = emulator.stack("destroy", VARIANT, "--force", succeeds=False, TEST_READERS="0")
    assert "deletion protection" in output
    rds = emulator.client("rds")
    rds.modify_db_cluster(DBClusterIdentifier=first[cluster], DeletionProtection=False)
    emulator.stack("destroy", VARIANT, "--force", TEST_READERS="0")
    assert not rds.describe_db_clusters()["DBClusters"]
    snapshots = rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    assert {item["DBClusterIdentifier"] for item in snapshots} == {first[cluster]}
