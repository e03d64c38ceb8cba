"""Secrets that are found by a name without the six characters that Secrets Manager appends to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Final

from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.tokens import is_secret, is_token

# Secrets Manager user guide, "What's in a Secrets Manager secret?": do not end a name with a hyphen and six characters.
_LIKE_A_SUFFIX: Final = re.compile(r":secret:([^:$]*-[A-Za-z0-9]{6})(?::|$)")


def check_secret_names(given: Iterable[object]) -> Iterator[Advice]:
    """Advise on each secret that is given by a name which ends like the suffix of a complete ARN.

    ECS then takes the end of the name for the suffix, and does not find the secret. A complete ARN as plain text is not
    looked at: it ends with the suffix itself.

    Args:
        given: secrets, and objects that hold secrets in their fields.
    """
    for secret in (secret for each in given for secret in _secrets_in(each)):
        arn = str(getattr(secret, "arn" if is_secret(secret) else "secret_arn"))
        match = _LIKE_A_SUFFIX.search(arn) if is_token(arn) else None
        if match:
            yield Advice(
                f"cdk-airflow-ecs:secret-name:{match[1]}",
                f"the secret {match[1]!r} is found by its name, which ends like the suffix of a complete ARN: ECS may"
                " look for another secret. Import it with Secret.from_secret_complete_arn(…), or rename it",
            )


def _secrets_in(given: object) -> Iterator[object]:
    """Yield the secrets that *given* is or holds."""
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
