"""CDK's tokens and secrets, recognised without asking CDK: the plan must know which values it cannot see.

A token is a value that CloudFormation fills in at deploy time. Inside Python it is an ordinary string with a marker
in it, or a number far below any real one, which may be written as text like any other
(aws-cdk-lib, ``core/lib/private/encoding.ts``).
"""

from __future__ import annotations

from typing import TypeGuard

_STRING_MARKER = "${Token["
_LIST_MARKER = "#{Token["
_LARGEST_NUMBER_TOKEN = -1e280


def is_token(value: object) -> bool:
    """Tell whether *value* is only known at deploy time."""
    if isinstance(value, str):
        return _STRING_MARKER in value
    return is_number_token(value)


def is_number_token(value: object) -> bool:
    """Tell whether *value* is a number that is only known at deploy time."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value < _LARGEST_NUMBER_TOKEN


def is_list_token(value: str) -> bool:
    """Tell whether *value* stands for all texts of a list, however many the deploy finds."""
    return _LIST_MARKER in value


def is_secret(value: object) -> bool:
    """Tell whether *value* is an ``ecs.Secret``, by what its class has."""
    return not isinstance(value, type) and hasattr(type(value), "has_field")


def is_known_int(value: object) -> TypeGuard[int]:
    """Tell whether *value* is an integer that can be compared now."""
    return isinstance(value, int) and not isinstance(value, bool) and not is_token(value)
