"""Warnings about secrets that rotate while tasks run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aws_cdk import aws_secretsmanager as secretsmanager

from cdk_airflow_ecs.advice import Advice

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


def manages_password(database: object) -> bool:
    """Return whether RDS creates and rotates the master password of *database*, if it is created in this app."""
    resource = getattr(getattr(database, "node", None), "default_child", None)
    return bool(getattr(resource, "manage_master_user_password", False))
