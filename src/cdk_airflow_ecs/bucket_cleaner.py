"""CDK's custom resource that empties buckets before a stack is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import RemovalPolicy

from cdk_airflow_ecs.custom_resource_provider import quieten_provider

if TYPE_CHECKING:
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
    """Remove the redundant dependency of the function that empties *bucket*."""
    if removal_policy is not RemovalPolicy.DESTROY:
        return
    quieten_provider(bucket, "Custom::S3AutoDeleteObjects")
