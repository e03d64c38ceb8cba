"""Secrets that the user passes as ``ecs.Secret``, with the keys that encrypt them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from aws_cdk import aws_ecs as ecs
from constructs import Construct

from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.secrets import secret_peer

if TYPE_CHECKING:
    from aws_cdk import aws_secretsmanager as secretsmanager


def bind_given_secrets(scope: Construct, given: Mapping[str, ecs.Secret]) -> Binding:
    """Bind secrets, so that the execution roles that read them are allowed their keys without a cycle of stacks.

    An ``ecs.Secret`` shows only the ARN of its secret, and lets CDK write each reader into the policy of the secret's
    key: an imported key has none, and a key in another stack would depend on this one. The secret itself is a construct
    of the app, so it is looked up by its ARN. A secret without a key of its own stays as it is.

    Args:
        scope: where secrets that have a key are looked up again.
        given: the secrets, by field name.
    """
    # A parameter of SSM allows its key in the policy of the role, which makes no cycle.
    candidates = _secrets_with_keys(scope) if any(":ssm:" not in each.arn for each in given.values()) else ()
    secrets, keys = dict(given), {}
    for name, each in given.items():
        arn = each.arn
        for secret in candidates:
            if arn == secret.secret_arn or arn.startswith(f"{secret.secret_arn}:"):
                address = secret.node.addr
                place = cast("Construct | None", scope.node.try_find_child(address)) or Construct(scope, address)
                secrets[name] = _same_part(arn.removeprefix(secret.secret_arn), secret_peer(place, secret))
                keys[name] = secret.encryption_key
                break
    return Binding(secrets=secrets, secret_keys={name: key for name, key in keys.items() if key is not None})


def _secrets_with_keys(scope: Construct) -> Sequence[secretsmanager.ISecret]:
    """Return the secrets of the app that name their key, made or imported."""
    return [
        cast("secretsmanager.ISecret", each)
        for each in scope.node.root.node.find_all()
        if hasattr(each, "secret_arn") and getattr(each, "encryption_key", None) is not None
    ]


def _same_part(part: str, secret: secretsmanager.ISecret) -> ecs.Secret:
    """Return *secret* as an ``ecs.Secret``, whose ARN goes on with *part*: ``:field:stage:version``, or nothing."""
    if not part:
        return ecs.Secret.from_secrets_manager(secret)
    _, field, stage, version = part.split(":")
    if not stage and not version:
        return ecs.Secret.from_secrets_manager(secret, field)
    info = ecs.SecretVersionInfo(version_id=version or None, version_stage=stage or None)
    return ecs.Secret.from_secrets_manager_version(secret, info, field or None)
