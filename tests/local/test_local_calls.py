"""Requests to the local AWS API are counted by client address, without reading their bodies."""

from __future__ import annotations

import pytest

from cdk_airflow_ecs.local.aws.calls import Call, Calls, read

SIGNED = "AWS4-HMAC-SHA256 Credential=ASIAX/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=1"


def request(service: str, **given: str) -> dict[str, str]:
    """Return a signed WSGI request."""
    return {"REMOTE_ADDR": "198.18.7.11", "HTTP_AUTHORIZATION": SIGNED.format(service), **given}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (request("s3", REQUEST_METHOD="GET", PATH_INFO="/dags-1/a/b.py"), ("s3", "GET object", "dags-1")),
        (request("s3", REQUEST_METHOD="HEAD", PATH_INFO="/dags-1/"), ("s3", "HEAD bucket", "dags-1")),
        (request("s3", REQUEST_METHOD="GET", PATH_INFO="/"), ("s3", "GET bucket", "")),
        (request("sqs", HTTP_X_AMZ_TARGET="AmazonSQS.SendMessage", PATH_INFO="/"), ("sqs", "SendMessage", "")),
        (request("sqs", QUERY_STRING="Action=ReceiveMessage&WaitTimeSeconds=20"), ("sqs", "ReceiveMessage", "")),
        (request("dynamodb", HTTP_X_AMZ_TARGET="DynamoDB_20120810.PutItem"), ("dynamodb", "PutItem", "")),
        ({"REMOTE_ADDR": "198.18.7.11", "PATH_INFO": "/dags-1/a"}, ("", "", "")),
    ],
)
def test_service_operation_and_bucket_are_read_from_the_head_of_a_request(made, expected):
    """Service, operation and bucket come from a request's path and headers."""
    assert read(made) == Call("198.18.7.11", *expected)


def test_equal_requests_of_one_client_are_counted_in_one_row():
    """Equal requests from one address are counted in one row."""
    calls = Calls()
    for address in ("198.18.7.11", "198.18.7.11", "198.18.7.12"):
        calls.add(request("ecs", HTTP_X_AMZ_TARGET="AmazonEC2ContainerServiceV20141113.RunTask", REMOTE_ADDR=address))
    assert calls.rows() == [
        ["198.18.7.11", "ecs", "RunTask", "", 2],
        ["198.18.7.12", "ecs", "RunTask", "", 1],
    ]
