"""Detection of CDK tokens and secrets without calls to CDK.

A token is a string with a marker, or a very low number (aws-cdk-lib, ``core/lib/private/encoding.ts``).
"""

from __future__ import annotations

from typing import TypeGuard

_STRING_MARKER = "${Token["
_LIST_MARKER = "#{Token["
_LARGEST_NUMBER_TOKEN = -1e280


def is_token(value: object) -> bool:
    """Return whether *value* is known only at deploy time."""
    if isinstance(value, str):
        return _STRING_MARKER in value
    return is_number_token(value)


def is_number_token(value: object) -> bool:
    """Return whether *value* is a number known only at deploy time."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value < _LARGEST_NUMBER_TOKEN


def is_list_token(value: str) -> bool:
    """Return whether *value* is the placeholder for a list of unknown length."""
    return _LIST_MARKER in value


def is_secret(value: object) -> bool:
    """Return whether *value* is an ``ecs.Secret``, which is detected by an attribute."""
    return not isinstance(value, type) and hasattr(type(value), "has_field")


def is_known_int(value: object) -> TypeGuard[int]:
    """Return whether *value* is an integer and not a token."""
    return isinstance(value, int) and not isinstance(value, bool) and not is_token(value)
