"""Buckets of the cluster, and folders of the user's buckets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import RemovalPolicy
from aws_cdk import aws_s3 as s3

from cdk_airflow_ecs.bucket_cleaner import quieten_cleaner
from cdk_airflow_ecs.durations import days
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.bind_context import BindContext


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFolder:
    """A folder of a user's bucket.

    Args:
        prefix: the folder; "" means the whole bucket.
    """

    bucket: s3.IBucket
    prefix: str

    def overlaps(self, other: BucketFolder) -> bool:
        """Return whether one folder contains the other, if known before deploy."""
        places = [f"{folder.prefix.strip('/')}/".lstrip("/") for folder in (self, other)]
        if any(map(is_token, places)) or self.bucket.bucket_name != other.bucket.bucket_name:
            return False
        return places[0].startswith(places[1]) or places[1].startswith(places[0])


def private_bucket(
    scope: Construct, construct_id: str, context: BindContext, *, prefix: str, expire_days: int | None = None
) -> s3.Bucket:
    """Create a private, encrypted, versioned bucket that requires TLS and has access logs.

    *prefix* is the prefix of its access logs. Objects are deleted after *expire_days*, by default never.
    """
    rules = [
        s3.LifecycleRule(
            expiration=days(expire_days) if expire_days else None,
            noncurrent_version_expiration=days(30),
            abort_incomplete_multipart_upload_after=days(7),
        )
    ]
    bucket = s3.Bucket(
        scope,
        construct_id,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.KMS if context.bucket_key is not None else s3.BucketEncryption.S3_MANAGED,
        encryption_key=context.bucket_key,
        # A bucket key needs fewer requests to KMS (Amazon S3 User Guide, "S3 Bucket Keys").
        bucket_key_enabled=True if context.bucket_key is not None else None,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True,
        lifecycle_rules=rules,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        removal_policy=context.removal_policy or RemovalPolicy.RETAIN,
        # CloudFormation deletes only empty buckets.
        auto_delete_objects=context.removal_policy is RemovalPolicy.DESTROY,
    )
    quieten_cleaner(bucket, context.removal_policy)
    context.access_logs.receive(bucket, prefix)
    if context.removal_policy is RemovalPolicy.DESTROY:
        bucket.node.add_dependency(*context.access_logs.emptying)
    return bucket
