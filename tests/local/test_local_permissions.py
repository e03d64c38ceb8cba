"""A request that a role does not allow is found, though the local API answers it."""

from __future__ import annotations

import pytest
from permissions import action, forbidden, grants

DAGS = ["arn:aws:s3:::dags", "arn:aws:s3:::dags/*"]
POLICY = {
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject*", "s3:List*"], "Resource": DAGS},
        {"Effect": "Allow", "Action": "ecs:RunTask", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*"},
    ]
}


@pytest.mark.parametrize(
    ("service", "operation", "bucket", "allowed"),
    [
        ("s3", "GET object", "dags", True),
        ("s3", "HEAD object", "dags", True),
        ("s3", "HEAD bucket", "dags", True),
        ("s3", "PUT object", "dags", False),
        ("s3", "GET object", "logs", False),
        ("ecs", "RunTask", "", True),
        ("ecs", "StopTask", "", False),
        ("sts", "GetCallerIdentity", "", True),
        ("sqs", "", "", True),  # its head does not say what it asks for
    ],
)
def test_what_no_statement_allows_is_named(service, operation, bucket, allowed):
    """By component, action and bucket."""
    found = forbidden([("Scheduler", service, operation, bucket)], {"Scheduler": list(grants([POLICY]))})
    assert found == ([] if allowed else [("Scheduler", action(service, operation), bucket)])


def test_others_than_components_are_left_out():
    """What the runner itself asks for is nothing of the template's."""
    assert forbidden([("this machine", "s3", "PUT object", "dags")], {"Scheduler": []}) == []


def test_an_unknown_method_is_an_error():
    """A request that nobody thought of is no permitted one."""
    with pytest.raises(KeyError):
        action("s3", "PATCH object")
