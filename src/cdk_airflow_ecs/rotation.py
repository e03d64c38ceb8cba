"""Warnings about secrets that rotate while tasks run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from aws_cdk import Stack
from aws_cdk import aws_secretsmanager as secretsmanager

from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import IConstruct


def check_rotation(argument: str, secret: object) -> Iterator[Advice]:
    """Yield a warning if *secret*, the value of *argument*, has a rotation schedule in this app."""
    below: Sequence[IConstruct] = getattr(secret, "node").find_all() if hasattr(secret, "node") else ()  # noqa: B009
    if any(isinstance(each, secretsmanager.CfnRotationSchedule) for each in below):
        yield Advice(
            f"cdk-airflow-ecs:rotation:{argument}",
            f"the secret of {argument} rotates, but ECS reads secrets only when a task starts, so running tasks cannot"
            " log in after a rotation. Remove the rotation, or restart the services after each one"
            " (`aws ecs update-service --force-new-deployment`)",
        )


def managed_by_rds(database: object, secret: object) -> bool:
    """Return whether RDS creates and rotates *secret*, or the secret of *database* if *secret* is None."""
    if secret is None:
        resource = getattr(getattr(database, "node", None), "default_child", None)
        return bool(getattr(resource, "manage_master_user_password", False))
    arn = getattr(secret, "secret_arn", "")
    if is_token(arn) and hasattr(secret, "node"):
        arn = Stack.of(cast("IConstruct", secret)).resolve(arn)
    # The attribute of a database of this app, or the name that RDS chooses.
    return any(mark in str(arn) for mark in ("MasterUserSecret.SecretArn", ":secret:rds!"))
