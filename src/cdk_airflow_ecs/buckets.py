"""Buckets with the safe settings, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import CfnResource
    from constructs import Construct, IConstruct

    from cdk_airflow_ecs.bind_context import BindContext


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFolder:
    """A folder of a bucket that a user brings.

    Args:
        bucket: the bucket.
        prefix: where in it; "" is all of it.
    """

    bucket: s3.IBucket
    prefix: str

    def overlaps(self, other: BucketFolder) -> bool:
        """Whether one is known to be inside the other."""
        places = [f"{folder.prefix.strip('/')}/".lstrip("/") for folder in (self, other)]
        if any(map(is_token, places)) or self.bucket.bucket_name != other.bucket.bucket_name:
            return False
        return places[0].startswith(places[1]) or places[1].startswith(places[0])


def private_bucket(
    scope: Construct, construct_id: str, context: BindContext, *, expire_days: int | None = None
) -> s3.Bucket:
    """Create a bucket that is private, encrypted, TLS only and versioned, with its access logged.

    Args:
        scope: its parent.
        construct_id: its id.
        context: where access logs go, and whether it outlives the stack.
        expire_days: delete objects after so many days. The default keeps them.
    """
    rules = [
        s3.LifecycleRule(
            expiration=Duration.days(expire_days) if expire_days else None,
            noncurrent_version_expiration=Duration.days(30),
            abort_incomplete_multipart_upload_after=Duration.days(7),
        )
    ]
    bucket = s3.Bucket(
        scope,
        construct_id,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.KMS if context.bucket_key is not None else s3.BucketEncryption.S3_MANAGED,
        encryption_key=context.bucket_key,
        # S3 then asks KMS once for many objects (Amazon S3 User Guide, "S3 Bucket Keys").
        bucket_key_enabled=True if context.bucket_key is not None else None,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True,
        lifecycle_rules=rules,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        removal_policy=context.removal_policy or RemovalPolicy.RETAIN,
        # CloudFormation deletes no bucket that holds anything.
        auto_delete_objects=context.removal_policy is RemovalPolicy.DESTROY,
    )
    _quieten_cleaner(bucket)
    _log_access(bucket, context.access_logs, prefix=f"{scope.node.id.lower()}/")
    if context.removal_policy is RemovalPolicy.DESTROY:
        bucket.node.add_dependency(*emptying(context.access_logs))
    return bucket


def emptying(bucket: s3.IBucket) -> list[IConstruct]:
    """Find what empties *bucket* when the stack is deleted, if anything does.

    Whatever writes to the bucket must depend on it: CloudFormation then deletes the writer first.
    """
    found = bucket.node.try_find_child("AutoDeleteObjectsCustomResource")
    return [] if found is None else [found]


def _log_access(bucket: s3.Bucket, target: s3.Bucket, *, prefix: str) -> None:
    """Log access to *bucket*. CDK's own argument uses ACLs unless the app sets a feature flag, so it is not used."""
    resource = cast("s3.CfnBucket", bucket.node.default_child)
    resource.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
        destination_bucket_name=target.bucket_name, log_file_prefix=prefix
    )
    target.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
            actions=["s3:PutObject"],
            resources=[target.arn_for_objects(f"{prefix}*")],
            conditions={"StringEquals": {"aws:SourceAccount": Stack.of(target).account}},
        )
    )


def access_log_bucket(scope: Construct, *, removal_policy: RemovalPolicy | None) -> s3.Bucket:
    """Create the bucket that receives the access logs of the other buckets and of the load balancer.

    Load balancers write to no bucket that is encrypted with a key of ours (Elastic Load Balancing guide,
    "Enable access logs").
    """
    bucket = s3.Bucket(
        scope,
        "AccessLogs",
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.S3_MANAGED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(expiration=Duration.days(90), noncurrent_version_expiration=Duration.days(1))
        ],
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        removal_policy=removal_policy or RemovalPolicy.RETAIN,
        auto_delete_objects=removal_policy is RemovalPolicy.DESTROY,
    )
    _quieten_cleaner(bucket)
    return bucket


def _quieten_cleaner(bucket: s3.Bucket) -> None:
    """Drop a dependency of CDK's function that empties buckets: its role's ARN says the same (cfn-lint W3005)."""
    provider = Stack.of(bucket).node.try_find_child("Custom::S3AutoDeleteObjectsCustomResourceProvider")
    if provider is not None:
        cast("CfnResource", provider.node.find_child("Handler")).add_deletion_override("DependsOn")
