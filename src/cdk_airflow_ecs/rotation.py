"""Secrets that change by themselves, which running tasks do not notice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aws_cdk import aws_secretsmanager as secretsmanager

from cdk_airflow_ecs.advice import Advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import IConstruct


def check_rotation(argument: str, secret: object) -> Iterator[Advice]:
    """Advise where *secret* has a rotation schedule in this app.

    Args:
        argument: the argument that the secret belongs to.
        secret: the secret; anything that is not a construct has no schedule.
    """
    below: Sequence[IConstruct] = getattr(secret, "node").find_all() if hasattr(secret, "node") else ()  # noqa: B009
    if any(isinstance(each, secretsmanager.CfnRotationSchedule) for each in below):
        yield Advice(
            f"cdk-airflow-ecs:rotation:{argument}",
            f"the secret of {argument} rotates, and ECS reads secrets only when a task starts: running services keep"
            " the old password and cannot log in after a rotation. Remove the rotation, or restart the services after"
            " each one (`aws ecs update-service --force-new-deployment`)",
        )


def manages_password(database: object) -> bool:
    """Return whether RDS makes and rotates the master password of *database*, as far as this app says so."""
    resource = getattr(getattr(database, "node", None), "default_child", None)
    return bool(getattr(resource, "manage_master_user_password", False))
