"""Images from registries with credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs.secrets import secret_peer

if TYPE_CHECKING:
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct


def image_with_login(scope: Construct, name: str, credentials: secretsmanager.ISecret | None) -> ecs.ContainerImage:
    """Return the image *name*, pulled with *credentials*.

    The execution role's own policy allows decryption of the secret. CDK would instead change the key's policy, which is
    impossible for imported keys, and would make the key's stack depend on this one.
    """
    login = None if credentials is None else secret_peer(scope, credentials)
    return ecs.ContainerImage.from_registry(name, credentials=login)
