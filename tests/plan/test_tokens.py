"""Values that only the deploy knows, told from others without asking CDK."""

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
def test_what_is_a_token(value, token, known):
    """Text with CDK's marker and CDK's numbers are tokens; only real integers can be compared."""
    assert is_token(value) is token
    assert is_known_int(value) is known


def test_what_is_a_list_token():
    """A text of a list that the deploy looks up, told from a text that is looked up alone."""
    assert is_list_token("#{Token[TOKEN.1]}")
    assert not any(map(is_list_token, (TEXT_TOKEN, "eu-central-1a")))


def test_what_is_a_secret():
    """An object of ecs.Secret is known by its class; the class itself is none."""
    assert is_secret(EcsSecret())
    assert not any(is_secret(other) for other in (EcsSecret, "text", None, object()))


def test_a_token_is_shown_in_words():
    """Nobody wrote -1.88e+289, so no message quotes it."""
    assert shown(NUMBER_TOKEN) == "a number that only the deploy knows (a CDK token)"
    assert shown(TEXT_TOKEN) == "a text that only the deploy knows (a CDK token)"
    assert shown(EcsSecret) == "the class EcsSecret: make an object of it, EcsSecret(…)"
    assert shown("x") == "'x'"
