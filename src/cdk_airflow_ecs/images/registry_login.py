"""An image that is pulled with a login to its registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs.secrets import secret_peer

if TYPE_CHECKING:
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct


def image_with_login(scope: Construct, name: str, credentials: secretsmanager.ISecret | None) -> ecs.ContainerImage:
    """Return the image *name*, pulled with *credentials*.

    CDK would allow roles the key of the secret in the key's own policy: an imported key has none that CDK could change,
    and a key in another stack would depend on this one. The execution role's own policy allows the key instead.

    Args:
        scope: where the secret is looked up again, if it has a key.
        name: the name of the image.
        credentials: a secret with username and password.
    """
    login = None if credentials is None else secret_peer(scope, credentials)
    return ecs.ContainerImage.from_registry(name, credentials=login)
