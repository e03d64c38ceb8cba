"""The bucket for access logs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, cast

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from cdk_airflow_ecs.bucket_cleaner import emptying, quieten_cleaner
from cdk_airflow_ecs.durations import days

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.stack_facts import StackFacts


class AccessLogs:
    """The bucket for access logs of the load balancer and other buckets.

    It uses S3-managed keys, because load balancers cannot write to a bucket with a customer key (Elastic Load Balancing
    guide, "Enable access logs").
    """

    def __init__(self, scope: Construct, stack: StackFacts, *, removal_policy: RemovalPolicy | None) -> None:
        self._stack = stack
        self._bucket = s3.Bucket(
            scope,
            "AccessLogs",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            lifecycle_rules=[s3.LifecycleRule(expiration=days(90), noncurrent_version_expiration=days(1))],
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=removal_policy or RemovalPolicy.RETAIN,
            auto_delete_objects=removal_policy is RemovalPolicy.DESTROY,
        )
        quieten_cleaner(self._bucket, removal_policy)
        self.emptying = emptying(self._bucket, removal_policy)

    @cached_property
    def name(self) -> str:
        """The name of the bucket."""
        return self._bucket.bucket_name

    @cached_property
    def policy(self) -> s3.BucketPolicy:
        """The bucket policy, which requires TLS."""
        return cast("s3.BucketPolicy", self._bucket.policy)

    @cached_property
    def _document(self) -> iam.PolicyDocument:
        return self.policy.document

    @cached_property
    def _s3(self) -> iam.ServicePrincipal:
        return iam.ServicePrincipal("logging.s3.amazonaws.com")

    def receive(self, bucket: s3.Bucket, prefix: str) -> None:
        """Write the access logs of *bucket* below *prefix*.

        CDK's ``server_access_logs_bucket`` is not used, because it needs ACLs unless a feature flag is set.
        """
        resource = cast("s3.CfnBucket", bucket.node.default_child)
        resource.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
            destination_bucket_name=self.name, log_file_prefix=prefix
        )
        self._admit(self._s3, f"{prefix}*", {"StringEquals": {"aws:SourceAccount": self._stack.account}})

    def admit(self, service: str, objects: str) -> None:
        """Allow the AWS *service* to write objects whose keys match the pattern *objects*."""
        self._admit(iam.ServicePrincipal(service), objects, {})

    def _admit(
        self, principal: iam.ServicePrincipal, objects: str, conditions: Mapping[str, Mapping[str, str]]
    ) -> None:
        self._document.add_statements(
            iam.PolicyStatement(
                principals=[principal],
                actions=["s3:PutObject"],
                resources=[self._bucket.arn_for_objects(objects)],
                conditions=conditions,
            )
        )
