"""CDK's function that empties buckets before a stack is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import RemovalPolicy, Stack

if TYPE_CHECKING:
    from aws_cdk import CfnResource
    from aws_cdk import aws_s3 as s3
    from constructs import IConstruct


def emptying(bucket: s3.IBucket, removal_policy: RemovalPolicy | None = RemovalPolicy.DESTROY) -> list[IConstruct]:
    """Find what empties *bucket* when the stack is deleted, if anything does.

    Whatever writes to the bucket must depend on it: CloudFormation then deletes the writer first.

    Args:
        bucket: the bucket.
        removal_policy: that of a bucket of our own, which only DESTROY empties.
    """
    if removal_policy is not RemovalPolicy.DESTROY:
        return []
    found = bucket.node.try_find_child("AutoDeleteObjectsCustomResource")
    return [] if found is None else [found]


def quieten_cleaner(bucket: s3.Bucket, removal_policy: RemovalPolicy | None) -> None:
    """Drop a dependency of CDK's function that empties buckets: its role's ARN says the same (cfn-lint W3005)."""
    if removal_policy is not RemovalPolicy.DESTROY:
        return
    provider = Stack.of(bucket).node.try_find_child("Custom::S3AutoDeleteObjectsCustomResourceProvider")
    if provider is not None:
        cast("CfnResource", provider.node.find_child("Handler")).add_deletion_override("DependsOn")
