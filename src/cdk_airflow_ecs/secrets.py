"""The secrets of a cluster, which Secrets Manager generates at deploy time, and their encryption key."""

from __future__ import annotations

import json

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.stack_facts import StackFacts

ADMIN_USERNAME = "admin"


def generated_secret(
    scope: Construct,
    construct_id: str,
    context: BindContext,
    *,
    description: str,
    length: int,
    username: str | None = None,
) -> secretsmanager.Secret:
    """Create a secret of *length* letters and digits. With *username* it is JSON with username and password."""
    return secretsmanager.Secret(
        scope,
        construct_id,
        description=description,
        encryption_key=context.key,
        generate_secret_string=secretsmanager.SecretStringGenerator(
            password_length=length,
            exclude_punctuation=True,
            secret_string_template=json.dumps({"username": username}) if username else None,
            generate_string_key="password" if username else None,
        ),
        removal_policy=context.removal_policy or RemovalPolicy.RETAIN,
    )


def cluster_key(scope: Construct, *, removal_policy: RemovalPolicy | None) -> kms.Key:
    """Create the key that encrypts secrets, database, broker and container logs."""
    return kms.Key(
        scope,
        "Key",
        description="Secrets, database, broker and logs of Airflow",
        enable_key_rotation=True,
        removal_policy=removal_policy or RemovalPolicy.RETAIN,
    )


def key_peer(scope: Construct, key: kms.IKey) -> kms.IKey:
    """Return an imported copy of *key*, so that CDK does not change the key's policy.

    CDK would add each role that reads a secret to the key's policy, a dependency cycle if the key is in another stack.
    """
    return kms.Key.from_key_arn(scope, "KeyPeer", key.key_arn)


def secret_peer(scope: Construct, secret: secretsmanager.ISecret) -> secretsmanager.ISecret:
    """Return an imported copy of the user's *secret*, for the reason in :func:`key_peer`."""
    if secret.encryption_key is None:
        return secret
    there = scope.node.try_find_child("SecretPeer")
    if there is not None:
        return there  # type: ignore[return-value]  # the import below, in an earlier call
    full = secret.secret_full_arn
    return secretsmanager.Secret.from_secret_attributes(
        scope, "SecretPeer", secret_complete_arn=full, secret_partial_arn=None if full else secret.secret_arn
    )


def let_logs_use(key: kms.IKey, stack: StackFacts) -> None:
    """Allow CloudWatch Logs to encrypt log groups with *key*. *stack* is the key's stack, which avoids a cycle."""
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(f"logs.{stack.region}.{stack.stack.url_suffix}")],
            actions=[
                "kms:Encrypt*",
                "kms:Decrypt*",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:Describe*",
            ],
            resources=["*"],
            conditions={
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": (
                        f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:*"
                    )
                }
            },
        ),
        allow_no_op=True,
    )


def bind_secrets(scope: Construct, context: BindContext, *, execution_api: bool) -> dict[str, Binding]:
    """Create the generated secrets, including one for task tokens if there is an *execution_api*."""
    made = {
        # A Fernet key is the base64 of 32 bytes: 43 characters and "=".
        "Fernet": generated_secret(
            scope, "Fernet", context, description="Encrypts Airflow connections and variables", length=43
        ),
        "Session": generated_secret(
            scope, "Session", context, description="Signs Airflow sessions and log requests", length=64
        ),
        "Admin": generated_secret(
            scope, "Admin", context, description="First password of the Airflow user admin", length=32
        ),
    }
    if execution_api:
        # HS512, the algorithm of the signature, requires at least 64 bytes.
        made["Jwt"] = generated_secret(scope, "Jwt", context, description="Signs Airflow task tokens", length=64)
    return {
        name: Binding(
            attributes={"arn": secret.secret_arn},
            secrets={"": ecs.Secret.from_secrets_manager(secret)},
            key=context.key,
        )
        for name, secret in made.items()
    }
