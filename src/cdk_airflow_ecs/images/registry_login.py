"""The login to a private registry, as ECS needs it: a secret, and a key that it may be encrypted with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager

if TYPE_CHECKING:
    from constructs import Construct


def image_with_login(scope: Construct, name: str, credentials: secretsmanager.ISecret | None) -> ecs.ContainerImage:
    """Return the image *name*, pulled with *credentials*.

    CDK allows a role to use the secret's key in the key's own policy: an imported key has none that it could change,
    and a key in another stack would make that stack depend on this one. So CDK gets the secret without its key, and the
    execution role is allowed the key in its own policy.

    Args:
        scope: where the secret is looked up again, if it has a key.
        name: the name of the image.
        credentials: a secret with username and password.
    """
    if credentials is None or credentials.encryption_key is None:
        return ecs.ContainerImage.from_registry(name, credentials=credentials)
    same = scope.node.try_find_child("Login")
    if same is None:
        full = credentials.secret_full_arn
        same = secretsmanager.Secret.from_secret_attributes(
            scope,
            "Login",
            secret_complete_arn=full,
            secret_partial_arn=None if full else credentials.secret_arn,
        )
    return ecs.ContainerImage.from_registry(name, credentials=same)  # type: ignore[arg-type]  # what was made here
