"""The snapshots that the migration gate takes before it migrates to another release."""

from __future__ import annotations

import pytest
from rds import Rds
from test_handler import Answers, Gate, answers  # noqa: F401 (a fixture)

NAME = "airflow-0a1b2c3d-before-3-3-6f6b7a529a37"
PATIENCE, LAUNCH = 30 * 60, 5 * 60


@pytest.fixture(params=["instance", "cluster"])
def gate(request: pytest.FixtureRequest, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Gate:  # noqa: F811
    """Return a gate with a database on RDS or Aurora."""
    found = Gate(answers, monkeypatch)
    variables = {"DATABASE": "metadata", "DATABASE_KIND": request.param, "SNAPSHOT_PREFIX": "airflow-0a1b2c3d"}
    for name, value in {**variables, "SNAPSHOTS_LEFT": "all"}.items():
        monkeypatch.setenv(name, value)
    return found


def upgrade(gate: Gate, before: str | None = "3.2", after: str = "3.3") -> dict:
    """Return a request that updates the release."""
    event = gate.event("Update")
    event["ResourceProperties"]["Release"] = after
    event["OldResourceProperties"] = {"TaskDefinition": "airflow-migrate:6", **({"Release": before} if before else {})}
    return event


def created(rds: Rds) -> list[str]:
    """Return the names of the snapshots that the gate tried to create."""
    return [arguments["name"] for operation, arguments in rds.calls if operation.startswith("create")]


@pytest.mark.parametrize(("before", "after"), [("3.2", "3.3"), ("2.11", "3.3"), ("2.9", "2.10"), (None, "3.3")])
def test_the_migration_waits_for_a_snapshot_before_a_newer_release(gate: Gate, before: str | None, after: str) -> None:
    """An unknown release counts as older. The snapshot is complete before the task starts."""
    started = gate.clock.now

    assert gate.run(upgrade(gate, before, after))["Status"] == "SUCCESS"

    (name,) = created(gate.aws.rds)
    assert name == NAME.replace("3-3", after.replace(".", "-"))
    assert len(name) <= 63
    (launched,) = gate.aws.launched.values()
    assert launched - started >= gate.aws.rds.duration


@pytest.mark.parametrize(("before", "after"), [("3.3", "3.3"), ("3.3", "3.2"), ("3.3", "2.11")])
def test_there_is_no_snapshot_for_the_same_or_an_older_release(gate: Gate, before: str, after: str) -> None:
    """A rollback does not migrate, so it needs no snapshot."""
    assert gate.run(upgrade(gate, before, after))["Status"] == "SUCCESS"
    assert gate.aws.rds.calls == []


def test_there_is_no_snapshot_of_a_new_database(gate: Gate) -> None:
    """A create request takes no snapshot."""
    event = gate.event("Create")
    event["ResourceProperties"]["Release"] = "3.3"
    assert gate.run(event)["Status"] == "SUCCESS"
    assert gate.aws.rds.calls == []


def test_a_database_that_is_busy_is_asked_again(gate: Gate) -> None:
    """An automatic backup may be in progress, and a new permission may not have propagated."""
    gate.aws.rds.refusals = ["InvalidDBInstanceState", "InvalidDBClusterStateFault"]
    gate.aws.rds.denied_until = gate.clock.now + 60
    assert gate.run(upgrade(gate))["Status"] == "SUCCESS"
    assert created(gate.aws.rds) == [NAME] * 3


def test_an_event_delivered_twice_takes_one_snapshot(gate: Gate) -> None:
    """The second delivery finds the snapshot of the first."""
    gate.aws.rds.add(NAME, 0)
    assert gate.run(upgrade(gate))["Status"] == "SUCCESS"
    assert created(gate.aws.rds) == []


def test_a_snapshot_created_by_another_delivery_meanwhile_is_accepted(gate: Gate) -> None:
    """RDS reports that the snapshot exists already."""
    exists = {"instance": "DBSnapshotAlreadyExists", "cluster": "DBClusterSnapshotAlreadyExistsFault"}
    gate.aws.rds.refusals = [exists[gate.module.os.environ["DATABASE_KIND"]]]
    assert gate.run(upgrade(gate))["Status"] == "SUCCESS"
    assert list(gate.aws.rds.snapshots) == [NAME]


def test_a_slow_snapshot_continues_in_the_next_invocation(gate: Gate) -> None:
    """The state passes from one invocation to the next, and one snapshot is created."""
    gate.aws.rds.duration = 25 * 60
    assert gate.run(upgrade(gate))["Status"] == "SUCCESS"
    assert created(gate.aws.rds) == [NAME]
    assert gate.aws.named("invoke")


def test_the_patience_with_the_task_starts_after_the_snapshot(gate: Gate) -> None:
    """A slow snapshot does not shorten the time for capacity and new permissions."""
    gate.aws.rds.duration = 20 * 60
    gate.aws.refusals = [[{"reason": "RESOURCE:ENI"}]] * 4
    assert gate.run(upgrade(gate))["Status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("attribute", "value", "patience"), [("duration", 86_400.0, PATIENCE), ("denied_until", float("inf"), LAUNCH)]
)
def test_without_a_snapshot_nothing_is_migrated(gate: Gate, attribute: str, value: float, patience: int) -> None:
    """The deployment fails after half an hour, or after minutes without permission, with the remedy."""
    started = gate.clock.now
    setattr(gate.aws.rds, attribute, value)

    answer = gate.run(upgrade(gate))

    assert answer["Status"] == "FAILED"
    assert f"The snapshot {NAME} is not complete after {patience // 60} minutes" in answer["Reason"]
    assert "snapshot_before_migration=False" in answer["Reason"]
    assert gate.aws.launched == {}
    assert patience <= gate.clock.now - started < patience + 60


@pytest.mark.parametrize("code", ["SnapshotQuotaExceeded", "DBInstanceNotFound"])
def test_a_snapshot_that_rds_refuses_fails_the_deployment(gate: Gate, code: str) -> None:
    """The reason has the error of RDS."""
    gate.aws.rds.refusals = [code]
    answer = gate.run(upgrade(gate))
    assert (answer["Status"], gate.aws.launched) == ("FAILED", {})
    assert code in answer["Reason"]


def test_a_snapshot_that_fails_fails_the_deployment(gate: Gate) -> None:
    """RDS reports the state "failed"."""
    gate.aws.rds.fails = True
    answer = gate.run(upgrade(gate))
    assert (answer["Status"], gate.aws.launched) == ("FAILED", {})
    assert f"RDS could not create the snapshot {NAME}" in answer["Reason"]


def test_old_snapshots_are_deleted_except_for_three(gate: Gate) -> None:
    """Snapshots of the last 30 days, and others', are kept, however many there are."""
    rds = gate.aws.rds
    for name, days in {"a": 400, "b": 90, "c": 80, "d": 29, "e": 20}.items():
        rds.add(f"airflow-0a1b2c3d-before-3-2-{name}", days)
    rds.add("airflow-0a1b2c3d9-before-3-2-x", 400)
    rds.add("mine", 400)

    assert gate.run(upgrade(gate))["Status"] == "SUCCESS"

    kept = {name.removeprefix("airflow-0a1b2c3d-before-3-2-") for name in rds.snapshots}
    assert kept == {"d", "e", NAME, "airflow-0a1b2c3d9-before-3-2-x", "mine"}


def test_old_snapshots_that_cannot_be_deleted_fail_nothing(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The migration continues."""
    rds = gate.aws.rds
    for number in range(5):
        rds.add(f"airflow-0a1b2c3d-before-3-2-{number}", 100 + number)

    def refuse(**_: str) -> None:
        from rds import error

        raise error("InvalidDBSnapshotState")

    monkeypatch.setattr(rds, "delete_db_snapshot", refuse)
    monkeypatch.setattr(rds, "delete_db_cluster_snapshot", refuse)
    assert gate.run(upgrade(gate))["Status"] == "SUCCESS"
    assert len(rds.snapshots) == 6


@pytest.mark.parametrize(("left", "remaining"), [("all", 2), ("none", 1)])
def test_snapshots_remain_unless_the_stack_deletes_its_data(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, left: str, remaining: int
) -> None:
    """With RemovalPolicy.DESTROY, a delete request deletes the gate's snapshots, but no others."""
    monkeypatch.setenv("SNAPSHOTS_LEFT", left)
    gate.aws.rds.add(NAME, 1)
    gate.aws.rds.add("mine", 1)
    assert gate.run(gate.event("Delete"))["Status"] == "SUCCESS"
    assert len(gate.aws.rds.snapshots) == remaining
