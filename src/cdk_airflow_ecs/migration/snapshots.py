"""Snapshots that the migration gate takes of the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from constructs import IConstruct

    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.binding import SnapshotSource
    from cdk_airflow_ecs.render_context import RenderContext
    from cdk_airflow_ecs.settings import Settings

# The last letters of the family prefix, which are unique in account and region.
_DIGEST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSnapshots:
    """The database of which the gate takes snapshots.

    *prefix* is that of their names, *version* the release of Airflow to which the gate migrates.
    """

    source: SnapshotSource
    prefix: str
    version: AirflowVersion

    @classmethod
    def of(cls, settings: Settings, context: RenderContext) -> GateSnapshots | None:
        """Return the snapshots of a cluster, or None if it takes none."""
        source = context.bindings["Database"].snapshots
        if not settings.snapshot_before_migration or source is None:
            return None
        return cls(source=source, prefix=f"airflow-{context.family_prefix[-_DIGEST:]}", version=settings.version)

    @property
    def properties(self) -> dict[str, str]:
        """The properties of the custom resource: the minor release, whose change requires a snapshot."""
        return {"Release": self.version.line}

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the gate's function."""
        return {
            "DATABASE": self.source.identifier,
            "DATABASE_KIND": self.source.kind,
            "SNAPSHOT_PREFIX": self.prefix,
            "SNAPSHOTS_LEFT": "all" if self.source.remain else "none",
        }

    def statements(self, scope: IConstruct) -> tuple[list[iam.PolicyStatement], list[str]]:
        """Return the statements of the function's role, and their ARNs with a wildcard."""
        api, database, snapshot = (
            ("DBCluster", "cluster", "cluster-snapshot") if self.source.kind == "cluster" else ("DB", "db", "snapshot")
        )

        def arn(resource: str, name: str) -> str:
            colon = ArnFormat.COLON_RESOURCE_NAME
            return Stack.of(scope).format_arn(service="rds", resource=resource, resource_name=name, arn_format=colon)

        source, ours, every = (
            arn(database, self.source.identifier),
            arn(snapshot, f"{self.prefix}-*"),
            arn(snapshot, "*"),
        )
        return [
            iam.PolicyStatement(actions=actions, resources=arns)
            for actions, arns in (
                ([f"rds:Create{api}Snapshot"], [source, ours]),
                # RDS copies the tags of the database.
                (["rds:AddTagsToResource", f"rds:Delete{api}Snapshot"], [ours]),
                ([f"rds:Describe{api}Snapshots"], [source, every]),
            )
        ], [ours, every]
