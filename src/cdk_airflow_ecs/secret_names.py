"""Warnings about secrets imported by name, without the suffix of their ARN."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Final, cast

from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.tokens import is_secret, is_token

if TYPE_CHECKING:
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct

# Secrets Manager appends a hyphen and six characters to the name (user guide, "What's in a Secrets Manager secret?").
_LIKE_A_SUFFIX: Final = re.compile(r":secret:([^:$]*-[A-Za-z0-9]{6})(?::|$)")


def check_secret_names(given: Iterable[object], scope: Construct) -> Iterator[Advice]:
    """Yield a warning for each secret imported by a name that ends like the suffix of an ARN, which ECS cannot find.

    Args:
        given: secrets, and objects with secrets in their fields.
        scope: a construct of the app whose secrets are searched for partial ARNs.
    """
    partial: set[str] | None = None
    for secret in (secret for each in given for secret in _secrets_in(each)):
        arn = str(getattr(secret, "arn" if is_secret(secret) else "secret_arn"))
        match = _LIKE_A_SUFFIX.search(arn)
        # A name becomes an ARN with tokens. Of other ARNs, only the import shows whether they are complete.
        if match and not is_token(arn):
            if partial is None:
                partial = _partial_arns(scope)
            match = match if arn[: match.end(1)] in partial else None
        if match:
            yield Advice(
                f"cdk-airflow-ecs:secret-name:{match[1]}",
                f"the secret {match[1]!r} is imported by a name that ends like the suffix of a complete ARN, so ECS may"
                " not find it. Import it with Secret.from_secret_complete_arn(…), or rename it",
            )


def _partial_arns(scope: Construct) -> set[str]:
    found = scope.node.root.node.find_all()
    secrets = [cast("secretsmanager.ISecret", each) for each in found if hasattr(each, "secret_full_arn")]
    complete = {each.secret_full_arn for each in secrets}
    return {each.secret_arn for each in secrets if each.secret_full_arn is None} - complete


def _secrets_in(given: object) -> Iterator[object]:
    if given is None or isinstance(given, (str, int, float)):
        return
    if is_secret(given) or hasattr(given, "secret_arn"):
        yield given
    elif isinstance(given, Mapping):
        yield from (value for value in given.values() if is_secret(value))
    elif is_dataclass(given):
        for each in fields(given):
            value = getattr(given, each.name)
            if not is_dataclass(value):
                yield from _secrets_in(value)
