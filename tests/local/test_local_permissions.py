"""Requests that a task role does not allow are found, although the local API accepts them."""

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
        ("sqs", "", "", True),  # the action is only in the request's body, which is not recorded
    ],
)
def test_an_aws_request_that_no_task_role_allows_is_listed(service, operation, bucket, allowed):
    """A request that no policy statement allows is listed with component, action and bucket."""
    found = forbidden([("Scheduler", service, operation, bucket)], {"Scheduler": list(grants([POLICY]))})
    assert found == ([] if allowed else [("Scheduler", action(service, operation), bucket)])


def test_requests_of_the_local_runner_are_not_checked():
    """The local runner's own requests need no task role."""
    assert forbidden([("this machine", "s3", "PUT object", "dags")], {"Scheduler": []}) == []


def test_an_unknown_s3_method_is_an_error():
    """An S3 request with an unknown HTTP method is an error."""
    with pytest.raises(KeyError):
        action("s3", "PATCH object")
