"""What arguments must be, refused in one way: what was given, what is accepted. Pure.

Each check takes the argument's name as the user knows it, and raises ValueError. None passes, as what was left out,
unless it is *required*.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final, TypeVar

from cdk_airflow_ecs.secret_detection import secret_in
from cdk_airflow_ecs.tokens import is_known_int, is_number_token, is_token

T = TypeVar("T")
# What part of a construct id is named by: worker pools, ECS tasks, executors.
NAME: Final = r"[A-Za-z][A-Za-z0-9-]{0,31}"

_HOST_LENGTH: Final = 253
_LABEL_LENGTH: Final = 63
_SHOWN_LENGTH: Final = 120


def instance(name: str, given: object, kind: type, example: str) -> None:
    """Refuse what is no object of *kind*."""
    if not isinstance(given, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise ValueError(f"{name} takes {article} {kind.__name__} such as {example}, got {shown(given)}")


def construct(name: str, given: object, member: str, takes: str, *, required: bool = False) -> None:
    """Refuse what has no *member*. Constructs of other stacks are proxies, known by what they have alone."""
    if (given is not None or required) and (isinstance(given, type) or not hasattr(given, member)):
        raise ValueError(f"{name} takes {takes}, got {shown(given)}")


def secret(name: str, given: object, takes: str = "a secretsmanager.ISecret", *, required: bool = False) -> None:
    """Refuse what is no secret of Secrets Manager, and do not repeat it: it may be the secret itself."""
    if given is None or isinstance(given, type) or hasattr(given, "secret_arn"):
        construct(name, given, "secret_arn", takes, required=required)
    else:
        raise ValueError(f"{name} takes {takes}, never the secret itself; got a {type(given).__name__}")


def integer(name: str, given: object, low: int, high: int | None = None, *, tokens: bool = False) -> None:
    """Refuse what is no integer from *low* to *high*; with *tokens*, accept what only the deploy knows."""
    if tokens and is_number_token(given):
        return
    if not is_known_int(given) or given < low or (high is not None and given > high):
        accepted = f"{low} or more" if high is None else f"{low} to {high}"
        raise ValueError(f"{name} is an integer, {accepted}; got {shown(given)}")


def flag(name: str, given: object) -> None:
    """Refuse what is neither True nor False."""
    if given is not None and not isinstance(given, bool):
        raise ValueError(f"{name} is True or False, got {shown(given)}")


def text(name: str, given: object, example: str, *, required: bool = False) -> None:
    """Refuse what is no text, or an empty one."""
    if (given is not None or required) and (not isinstance(given, str) or not given.strip()):
        raise ValueError(f'{name} is text such as "{example}", got {shown(given)}')


def host(name: str, given: object, *, required: bool = False) -> None:
    """Refuse what is no host name."""
    text(name, given, "data.example.com", required=required)
    if not isinstance(given, str) or is_token(given):
        return
    if not {"/", ":", "@", " "}.isdisjoint(given):
        raise ValueError(f"{name} is a host name alone, without scheme, port or login; got {shown(given)}")
    if "*" in given:
        raise ValueError(f'{name} is one host name such as "data.example.com", not a pattern; got {shown(given)}')
    # RFC 1035, 2.3.4.
    if len(given) > _HOST_LENGTH or max(map(len, given.split("."))) > _LABEL_LENGTH:
        raise ValueError(
            f"{name} is a host name of {_HOST_LENGTH} characters at most, {_LABEL_LENGTH} between two dots; got"
            f" {shown(given)}"
        )


def name(what: str, given: object, *, underscores: bool = False) -> None:
    """Refuse what cannot be part of a construct id, such as the name of a pool; with *underscores*, accept those."""
    if not isinstance(given, str) or not re.fullmatch(NAME, given.replace("_", "-") if underscores else given):
        letters = "letters, digits, underscores and hyphens" if underscores else "letters, digits and hyphens"
        raise ValueError(f"{what} is a letter, then {letters}, at most 32; got {shown(given)}")


def items(name: str, given: Iterable[T], example: str) -> tuple[T, ...]:
    """Read a list, tuple or generator once; refuse one text, which Python would take for a list of letters."""
    if isinstance(given, (str, bytes, Mapping, type)) or not isinstance(given, Iterable):
        raise ValueError(f"{name} is a list such as {example}, got {shown(given)}")
    return tuple(given)


def shown(given: Any) -> str:
    """Write a value in a message as whoever gave it knows it; name what may hold a secret by its type.

    Of a long text, write only the beginning.
    """
    if is_token(given):
        return f"a {'text' if isinstance(given, str) else 'number'} that only the deploy knows (a CDK token)"
    if isinstance(given, type):
        return f"the class {given.__name__}: make an object of it, {given.__name__}(…)"
    if type(given) is str:
        if why := secret_in(given):
            return f"a text that is not repeated here: it holds {why}"
        text = repr(given)
        return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}… ({len(text):,} characters)"
    if given is None or isinstance(given, (bool, int, float, Enum)):
        return str(given)
    kind = type(given).__name__
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"
