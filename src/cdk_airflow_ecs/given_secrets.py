"""Secrets that users pass as ``ecs.Secret``, and their keys."""

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
    """Return a binding with secrets and their KMS keys; execution roles need access to both.

    CDK adds readers of an ``ecs.Secret`` to the key's policy, which is impossible for an imported key and causes a
    cycle if the key is in another stack. Secrets with a customer key are therefore found by ARN and imported again.
    """
    # SSM parameters need no import: CDK adds their key to the role's policy, which causes no cycle.
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
    return [
        cast("secretsmanager.ISecret", each)
        for each in scope.node.root.node.find_all()
        if hasattr(each, "secret_arn") and getattr(each, "encryption_key", None) is not None
    ]


def _same_part(part: str, secret: secretsmanager.ISecret) -> ecs.Secret:
    """Return an ``ecs.Secret`` whose ARN ends with *part*: ``:field:stage:version``, or ""."""
    if not part:
        return ecs.Secret.from_secrets_manager(secret)
    _, field, stage, version = part.split(":")
    if not stage and not version:
        return ecs.Secret.from_secrets_manager(secret, field)
    info = ecs.SecretVersionInfo(version_id=version or None, version_stage=stage or None)
    return ecs.Secret.from_secrets_manager_version(secret, info, field or None)
