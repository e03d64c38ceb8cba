"""Passwords that AWS rotates cause an error or a warning."""

from __future__ import annotations

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk.assertions import Annotations, Match

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, ExistingDatabase

Secret = secretsmanager.Secret
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
        other_stack = Stack(stack.node.root, database.node.id)
        copy = Secret.from_secret_complete_arn(other_stack, "Copy", database.secret.secret_arn)
        for arguments in (
            {"database": database},
            {"database": database, "secret": database.secret},
            {"endpoint": "db.example.com", "secret": database.secret},
            {"endpoint": "db.example.com", "secret": copy},
        ):
            with pytest.raises(ValueError, match=r"every seven days.*Pass secret="):
                ExistingDatabase(**arguments)
        assert ExistingDatabase(database, secret=own).secret is own


def test_an_imported_password_that_rds_manages_is_rejected():
    """Names of these secrets start with ``rds!``."""
    stack = Stack(App(), "S")
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:{}-AbCdEf"
    for secret in (
        Secret.from_secret_name_v2(stack, "Name", "rds!cluster-1a2b"),
        Secret.from_secret_complete_arn(stack, "Arn", arn.format("rds!db-1a2b")),
    ):
        with pytest.raises(ValueError, match=r"every seven days.*Pass secret="):
            ExistingDatabase(endpoint="db.example.com", secret=secret)
    other = Secret.from_secret_complete_arn(stack, "Other", arn.format("airflow/rds"))
    assert ExistingDatabase(endpoint="db.example.com", secret=other).secret is other


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
