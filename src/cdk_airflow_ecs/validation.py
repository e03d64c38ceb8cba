"""Checks of arguments. Pure.

Each check receives the argument's name, and raises ``ValueError`` with the accepted values and the value given. Unless
*required*, None is accepted as an omitted argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final, TypeVar

from cdk_airflow_ecs.secret_detection import may_hold_secret
from cdk_airflow_ecs.tokens import is_known_int, is_number_token, is_token

T = TypeVar("T")
# Names of worker pools, ECS tasks and executors, which become parts of construct ids.
NAME: Final = r"[A-Za-z][A-Za-z0-9-]{0,31}"

_HOST_LENGTH: Final = 253
_LABEL_LENGTH: Final = 63
_SHOWN_LENGTH: Final = 120


def instance(name: str, given: object, kind: type, example: str) -> None:
    """Check that *given* is an object of *kind*."""
    if not isinstance(given, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise ValueError(f"{name} must be {article} {kind.__name__} such as {example}, got {shown(given)}")


def construct(name: str, given: object, member: str, accepted: str, *, required: bool = False) -> None:
    """Check that *given* has *member*. Its class is not checked, because CDK passes some constructs as proxies."""
    if (given is not None or required) and (isinstance(given, type) or not hasattr(given, member)):
        raise ValueError(f"{name} must be {accepted}, got {shown(given)}")


def secret(name: str, given: object, accepted: str = "a secretsmanager.ISecret", *, required: bool = False) -> None:
    """Check that *given* is a secret of Secrets Manager, without showing it in the error."""
    if given is None or isinstance(given, type) or hasattr(given, "secret_arn"):
        construct(name, given, "secret_arn", accepted, required=required)
    else:
        raise ValueError(f"{name} must be {accepted}, not the secret itself, got a {type(given).__name__}")


def integer(name: str, given: object, low: int, high: int | None = None, *, tokens: bool = False) -> None:
    """Check that *given* is an integer from *low* to *high*; *tokens* accepts CDK tokens."""
    if tokens and is_number_token(given):
        return
    if not is_known_int(given) or given < low or (high is not None and given > high):
        accepted = f"{low} or more" if high is None else f"{low} to {high}"
        raise ValueError(f"{name} must be an integer ({accepted}), got {shown(given)}")


def flag(name: str, given: object) -> None:
    """Check that *given* is a bool."""
    if given is not None and not isinstance(given, bool):
        raise ValueError(f"{name} must be True or False, got {shown(given)}")


def text(name: str, given: object, example: str, *, required: bool = False) -> None:
    """Check that *given* is text and not blank."""
    if (given is not None or required) and (not isinstance(given, str) or not given.strip()):
        raise ValueError(f'{name} must be text such as "{example}", got {shown(given)}')


def host(name: str, given: object, *, required: bool = False) -> None:
    """Check that *given* is a host name."""
    text(name, given, "data.example.com", required=required)
    if not isinstance(given, str) or is_token(given):
        return
    if not {"/", ":", "@", " "}.isdisjoint(given):
        raise ValueError(f"{name} must be a host name without scheme, port and credentials, got {shown(given)}")
    if "*" in given:
        raise ValueError(f'{name} must be a host name such as "data.example.com", not a pattern, got {shown(given)}')
    # Limits of RFC 1035, 2.3.4.
    if len(given) > _HOST_LENGTH or max(map(len, given.split("."))) > _LABEL_LENGTH:
        raise ValueError(
            f"{name} must be a host name with at most {_HOST_LENGTH} characters, {_LABEL_LENGTH} between two dots, got"
            f" {shown(given)}"
        )


def name(what: str, given: object, *, underscores: bool = False) -> None:
    """Check that *given* can be part of a construct id; *underscores* accepts underscores."""
    if not isinstance(given, str) or not re.fullmatch(NAME, given.replace("_", "-") if underscores else given):
        letters = "letters, digits, underscores and hyphens" if underscores else "letters, digits and hyphens"
        raise ValueError(f"{what} must have at most 32 {letters}, the first a letter, got {shown(given)}")


def items(name: str, given: Iterable[T], example: str) -> tuple[T, ...]:
    """Return the items of a list, tuple or generator. Text is not a list."""
    if isinstance(given, (str, bytes, Mapping, type)) or not isinstance(given, Iterable):
        raise ValueError(f"{name} must be a list such as {example}, got {shown(given)}")
    return tuple(given)


def shown(given: Any) -> str:
    """Return a value for an error message. Long text is shortened, a possible secret replaced by its type."""
    if is_token(given):
        return f"a {'text' if isinstance(given, str) else 'number'} known only at deploy time (a CDK token)"
    if isinstance(given, type):
        return f"the class {given.__name__}; create an object: {given.__name__}(…)"
    if type(given) is str:
        if why := may_hold_secret(given):
            return f"a text that contains {why} and is not shown"
        text = repr(given)
        return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}… ({len(text):,} characters)"
    if given is None or isinstance(given, (bool, int, float, Enum)):
        return str(given)
    return kind_of(given)


def kind_of(given: object) -> str:
    """Return the type of a value for an error message, because the value may be a secret."""
    kind = type(given).__name__
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"


def shown_name(given: object) -> str:
    """Return an invalid name for an error message, without the value in "name=value"."""
    if type(given) is not str or is_token(given):
        return shown(given)
    before = re.split("[=:\\s]", given, maxsplit=1)[0]
    return shown(before if before == given else f"{before}…")
