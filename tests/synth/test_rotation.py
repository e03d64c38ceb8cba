"""Passwords that AWS rotates cause an error or a warning."""

from __future__ import annotations

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds
from aws_cdk.assertions import Annotations, Match

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, ExistingDatabase

POSTGRES = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.of("17", "17"))
AURORA = rds.DatabaseClusterEngine.aurora_postgres(version=rds.AuroraPostgresEngineVersion.of("17.4", "17"))


def test_a_password_that_rds_manages_is_rejected():
    """A secret of another database user is accepted."""
    stack = Stack(App(), "S")
    vpc, writer = ec2.Vpc(stack, "Vpc"), rds.ClusterInstance.serverless_v2("writer")
    own = rds.DatabaseSecret(stack, "Own", username="airflow")
    for database in (
        rds.DatabaseInstance(stack, "I", engine=POSTGRES, vpc=vpc, manage_master_user_password=True),
        rds.DatabaseCluster(stack, "C", engine=AURORA, vpc=vpc, writer=writer, manage_master_user_password=True),
    ):
        with pytest.raises(ValueError, match=r"every seven days.*Pass secret="):
            ExistingDatabase(database)
        assert ExistingDatabase(database, secret=own).secret is own


@pytest.mark.parametrize("rotates", [True, False])
def test_a_rotation_schedule_gives_one_warning(rotates: bool):
    """A rotation schedule causes one warning."""
    stack = Stack(App(), "S")
    vpc = ec2.Vpc(stack, "Vpc")
    database = rds.DatabaseInstance(stack, "I", engine=POSTGRES, vpc=vpc)
    if rotates:
        database.add_rotation_single_user()
    AirflowCluster(stack, "A", version=AirflowVersion.V3_3, vpc=vpc, database=ExistingDatabase(database))
    found = Annotations.from_stack(stack).find_warning("/S/A", Match.string_like_regexp("ExistingDatabase rotates"))
    assert len(found) == rotates
