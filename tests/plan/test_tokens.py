"""Tokens (deploy-time values) are recognized without calls to CDK."""

from __future__ import annotations

import pytest
from plans import NUMBER_TOKEN, TEXT_TOKEN, EcsSecret

from cdk_airflow_ecs.tokens import is_known_int, is_list_token, is_secret, is_token
from cdk_airflow_ecs.validation import shown


@pytest.mark.parametrize(
    ("value", "token", "known"),
    [
        (TEXT_TOKEN, True, False),
        (f"s3://{TEXT_TOKEN}/x", True, False),
        (NUMBER_TOKEN, True, False),
        (-1, False, True),
        (0, False, True),
        (10**300, False, True),
        (1.5, False, False),
        (True, False, False),
        ("1", False, False),
        ("$Token[1]", False, False),
        (None, False, False),
        ([TEXT_TOKEN], False, False),
    ],
)
def test_tokens_are_recognized_in_text_and_numbers(value, token, known):
    """Numbers that are not tokens can be compared with limits."""
    assert is_token(value) is token
    assert is_known_int(value) is known


def test_a_token_inside_a_list_is_recognized():
    """The item that stands for a list known only at deploy time is recognized."""
    assert is_list_token("#{Token[TOKEN.1]}")
    assert not any(map(is_list_token, (TEXT_TOKEN, "eu-central-1a")))


def test_only_objects_of_ecs_secret_are_recognized():
    """Only objects of ecs.Secret are recognized as secrets, not the class."""
    assert is_secret(EcsSecret())
    assert not any(is_secret(other) for other in (EcsSecret, "text", None, object()))


def test_error_messages_describe_a_token_instead_of_quoting_the_token():
    """An error message contains "a number known only at deploy time (a CDK token)", for example."""
    assert shown(NUMBER_TOKEN) == "a number known only at deploy time (a CDK token)"
    assert shown(TEXT_TOKEN) == "a text known only at deploy time (a CDK token)"
    assert shown(EcsSecret) == "the class EcsSecret; create an object: EcsSecret(…)"
    assert shown("x") == "'x'"
