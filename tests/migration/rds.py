"""A fake of the snapshots of Amazon RDS, for tests of the migration gate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError


class Rds:
    """Snapshots of one database; each is complete *duration* seconds after its creation."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.duration = 90.0
        self.refusals: list[str] = []  # error codes of the next calls that create a snapshot
        self.denied_until = 0.0  # until then, every call is denied
        self.fails = False
        self.snapshots: dict[str, datetime] = {}
        self.started: dict[str, float] = {}
        self.calls: list[tuple[str, dict]] = []

    def add(self, name: str, days: float) -> None:
        """Add a complete snapshot that is *days* old."""
        self.snapshots[name] = datetime.now(UTC) - timedelta(days=days)

    def create_db_snapshot(self, **arguments: str) -> None:
        """Start a snapshot of an instance."""
        assert arguments["DBInstanceIdentifier"] == "metadata"
        self._create("create_db_snapshot", arguments["DBSnapshotIdentifier"], "DBSnapshotAlreadyExists")

    def create_db_cluster_snapshot(self, **arguments: str) -> None:
        """Start a snapshot of a cluster."""
        assert arguments["DBClusterIdentifier"] == "metadata"
        name, code = arguments["DBClusterSnapshotIdentifier"], "DBClusterSnapshotAlreadyExistsFault"
        self._create("create_db_cluster_snapshot", name, code)

    def delete_db_snapshot(self, **arguments: str) -> None:
        """Delete a snapshot of an instance."""
        self._check("delete_db_snapshot", arguments)
        del self.snapshots[arguments["DBSnapshotIdentifier"]]

    def delete_db_cluster_snapshot(self, **arguments: str) -> None:
        """Delete a snapshot of a cluster."""
        self._check("delete_db_cluster_snapshot", arguments)
        del self.snapshots[arguments["DBClusterSnapshotIdentifier"]]

    def get_paginator(self, operation: str) -> Rds:
        """Return this object as the paginator of *operation*."""
        self.operation = operation
        return self

    def paginate(self, **query: str) -> Iterator[dict]:
        """Yield the snapshots, one per page."""
        self._check(self.operation, query)
        kind = "DBCluster" if "cluster" in self.operation else "DB"
        name = query.get(f"{kind}SnapshotIdentifier")
        if name is not None and name not in self.snapshots:
            raise error("DBSnapshotNotFound" if kind == "DB" else "DBClusterSnapshotNotFoundFault")
        for each, created in self.snapshots.items():
            if name in (None, each):
                found = {f"{kind}SnapshotIdentifier": each, "Status": self._status(each), "SnapshotCreateTime": created}
                if found["Status"] == "creating":
                    del found["SnapshotCreateTime"]  # RDS sets it when the snapshot is complete
                yield {f"{kind}Snapshots": [found]}

    def _status(self, name: str) -> str:
        if name in self.started and self.clock.now < self.started[name] + self.duration:
            return "creating"
        return "failed" if self.fails and name in self.started else "available"

    def _check(self, operation: str, arguments: dict) -> None:
        self.calls.append((operation, arguments))
        if self.clock.now < self.denied_until:
            raise error("AccessDenied")

    def _create(self, operation: str, name: str, exists: str) -> None:
        self._check(operation, {"name": name})
        if self.refusals:
            raise error(self.refusals.pop(0))
        if name in self.snapshots:
            raise error(exists)
        self.snapshots[name], self.started[name] = datetime.now(UTC), self.clock.now


def error(code: str) -> ClientError:
    """Return an error of RDS."""
    return ClientError({"Error": {"Code": code, "Message": "refused"}}, "CreateDBSnapshot")
