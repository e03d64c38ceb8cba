"""CDK's custom resource that empties buckets before a stack is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import RemovalPolicy, Stack

if TYPE_CHECKING:
    from aws_cdk import CfnResource
    from aws_cdk import aws_s3 as s3
    from constructs import IConstruct


def emptying(bucket: s3.IBucket, removal_policy: RemovalPolicy | None = RemovalPolicy.DESTROY) -> list[IConstruct]:
    """Return the custom resource that empties *bucket*, or an empty list if there is none.

    Resources that write to the bucket must depend on it, so that CloudFormation deletes them first.
    """
    if removal_policy is not RemovalPolicy.DESTROY:
        return []
    found = bucket.node.try_find_child("AutoDeleteObjectsCustomResource")
    return [] if found is None else [found]


def quieten_cleaner(bucket: s3.Bucket, removal_policy: RemovalPolicy | None) -> None:
    """Remove a redundant dependency of the custom resource's function (cfn-lint W3005)."""
    if removal_policy is not RemovalPolicy.DESTROY:
        return
    provider = Stack.of(bucket).node.try_find_child("Custom::S3AutoDeleteObjectsCustomResourceProvider")
    if provider is not None:
        cast("CfnResource", provider.node.find_child("Handler")).add_deletion_override("DependsOn")
