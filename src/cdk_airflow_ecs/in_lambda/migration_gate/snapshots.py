"""Snapshots of the database before a migration to another minor or major release of Airflow.

Environment: DATABASE, its identifier; DATABASE_KIND ("instance" or "cluster"); SNAPSHOT_PREFIX; SNAPSHOTS_LEFT ("all"
or "none"), what remains when the stack is deleted. Without SNAPSHOT_PREFIX, there are no snapshots.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

KEPT = 3  # the newest snapshots are never deleted
KEPT_DAYS = 30  # nor are younger ones, such as the first of several attempts to migrate
PATIENCE = 30 * 60  # seconds to wait for a snapshot
RETRIES = Config(retries={"mode": "standard", "max_attempts": 8})
# Errors after which RDS may accept the same call later: another backup or change of the database is in progress.
BUSY = ("InvalidDBInstanceState", "InvalidDBInstanceStateFault", "InvalidDBClusterStateFault", "Throttling")
# A policy that the same deployment has changed may not have propagated.
DENIED = ("AccessDenied", "AccessDeniedException")


def is_needed(event: dict[str, Any]) -> bool:
    """Return whether the request updates a database to a newer minor or major release, or from an unknown one.

    A rollback needs none: the migration changes nothing in a database that is newer than the image.
    """
    if "SNAPSHOT_PREFIX" not in os.environ or event["RequestType"] != "Update":
        return False
    return release(event["ResourceProperties"]) > release(event.get("OldResourceProperties", {}))


def release(properties: dict[str, Any]) -> tuple[int, ...]:
    """Return the release in the custom resource's properties, such as (3, 3); empty if there is none."""
    return tuple(int(part) for part in properties.get("Release", "").split(".") if part)


def name_of(event: dict[str, Any]) -> str:
    """Return the name of a request's snapshot, at most 63 characters long. It is the same in each invocation."""
    target = "-".join(map(str, release(event["ResourceProperties"])))
    return f"{os.environ['SNAPSHOT_PREFIX']}-before-{target}-{event['RequestId'].replace('-', '')[:12]}".lower()


def take(event: dict[str, Any]) -> tuple[bool, str]:
    """Create the snapshot of this request, or look at it. Return whether it is complete, and its state."""
    rds, name = boto3.client("rds", config=RETRIES), name_of(event)
    try:
        found = described(rds, name)
    except ClientError as error:
        if code(error) in DENIED:
            return False, str(error)
        if not code(error).endswith(("SnapshotNotFound", "SnapshotNotFoundFault")):
            raise
        found = []
    if not found:
        return False, create(rds, name)
    if found[0]["Status"] == "failed":
        raise SnapshotFailed(f"RDS could not create the snapshot {name}")
    return found[0]["Status"] == "available", found[0]["Status"]


def create(rds: Any, name: str) -> str:
    """Start a snapshot. Return "creating", or why RDS does not start it yet."""
    database = os.environ["DATABASE"]
    try:
        if is_cluster():
            rds.create_db_cluster_snapshot(DBClusterIdentifier=database, DBClusterSnapshotIdentifier=name)
        else:
            rds.create_db_snapshot(DBInstanceIdentifier=database, DBSnapshotIdentifier=name)
    except ClientError as error:
        # Lambda may deliver a request twice at the same time.
        if code(error) in ("DBSnapshotAlreadyExists", "DBClusterSnapshotAlreadyExistsFault"):
            return "creating"
        if code(error) not in (*BUSY, *DENIED):
            raise
        return str(error)
    print("creating the snapshot", name)
    return "creating"


def prune(*, everything: bool = False) -> None:
    """Delete old snapshots of this gate, or *everything*. A failure is only logged, because nothing depends on it."""
    rds = boto3.client("rds", config=RETRIES)
    try:
        ours = [each for each in described(rds) if snapshot_id(each).startswith(f"{os.environ['SNAPSHOT_PREFIX']}-")]
        complete = sorted(
            (each for each in ours if "SnapshotCreateTime" in each), key=lambda it: it["SnapshotCreateTime"]
        )
        young = datetime.now(timezone.utc) - timedelta(days=KEPT_DAYS)
        old = ours if everything else [each for each in complete[:-KEPT] if each["SnapshotCreateTime"] < young]
        for each in old:
            if is_cluster():
                rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=snapshot_id(each))
            else:
                rds.delete_db_snapshot(DBSnapshotIdentifier=snapshot_id(each))
            print("deleted the snapshot", snapshot_id(each))
    except ClientError as error:
        print("snapshots were not deleted:", error)


def described(rds: Any, name: str = "") -> list[dict[str, Any]]:
    """Return the snapshot *name*, or all manual snapshots of the database.

    Raises:
        ClientError: If there is no such snapshot.
    """
    kind = "DBCluster" if is_cluster() else "DBInstance"
    query = (
        {f"{kind.replace('Instance', '')}SnapshotIdentifier": name}
        if name
        else {f"{kind}Identifier": os.environ["DATABASE"], "SnapshotType": "manual"}
    )
    operation = "describe_db_cluster_snapshots" if is_cluster() else "describe_db_snapshots"
    key = "DBClusterSnapshots" if is_cluster() else "DBSnapshots"
    return [each for page in rds.get_paginator(operation).paginate(**query) for each in page[key]]


def snapshot_id(snapshot: dict[str, Any]) -> str:
    """Return the name of a snapshot."""
    return str(snapshot["DBClusterSnapshotIdentifier" if is_cluster() else "DBSnapshotIdentifier"])


def is_cluster() -> bool:
    """Return whether the database is an Aurora cluster."""
    return os.environ["DATABASE_KIND"] == "cluster"


def code(error: ClientError) -> str:
    """Return the code of an error."""
    return str(error.response["Error"]["Code"])


class SnapshotFailed(Exception):
    """RDS could not create the snapshot."""
