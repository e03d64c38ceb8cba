"""Task logs in S3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.bucket_cleaner import emptying
from cdk_airflow_ecs.buckets import BucketFolder, private_bucket
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.limits import check_prefix
from cdk_airflow_ecs.logs.base import LogStore, remote_config, remote_environment
from cdk_airflow_ecs.plan import Option, Permission, Ref, Value
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import aws_s3 as s3
    from constructs import Construct

_EXPIRE_DAYS: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Logs(LogStore):
    """Task logs in an S3 bucket, which the UI can also show after the worker has stopped.

    Args:
        bucket: existing bucket. The default is a new one: private, versioned, TLS only, kept on stack deletion.
        prefix: folder in the bucket.
        expire_days: days until deletion in the new bucket; None for never. The default is 90.

    Raises:
        ValueError: if *expire_days* is not a positive integer, or is given with *bucket*.
    """

    bucket: s3.IBucket | None = None
    prefix: str = "task-logs"
    expire_days: int | None = _EXPIRE_DAYS

    def __post_init__(self) -> None:
        if self.expire_days is not None:
            validation.integer("S3Logs expire_days", self.expire_days, 1)
        prefix = self.prefix
        # The prefix becomes part of a URL and of an IAM pattern.
        known = isinstance(prefix, str) and not is_token(prefix)
        if not isinstance(prefix, str) or not prefix.strip("/") or (known and re.search(r"[#?*$]|://", prefix)):
            raise ValueError(
                'S3Logs prefix must be a folder in the bucket such as "task-logs", without # ? * $ and the bucket name;'
                f" got {validation.shown(prefix)}"
            )
        check_prefix("S3Logs prefix", prefix)
        validation.construct(
            "S3Logs bucket", self.bucket, "bucket_arn", "an s3.IBucket, such as s3.Bucket.from_bucket_name(…)"
        )
        if self.bucket is not None and self.expire_days not in (_EXPIRE_DAYS, None):
            raise IncompatibleArgumentsError(
                f"S3Logs expire_days={self.expire_days} is not compatible with bucket=. Set a lifecycle rule on the"
                " bucket itself"
            )

    def bucket_folder(self) -> BucketFolder | None:
        """See :meth:`ClusterResource.bucket_folder`."""
        return None if self.bucket is None else BucketFolder(bucket=self.bucket, prefix=self.prefix)

    def config(self, version: AirflowVersion) -> Mapping[Option, Value]:
        """See :meth:`LogStore.config`."""
        return remote_config(version)

    def environment(self, version: AirflowVersion) -> Mapping[str, Value]:
        """See :meth:`LogStore.environment`."""
        return remote_environment(version)

    def readers(self) -> tuple[Permission, ...]:
        """See :meth:`LogStore.readers`."""
        return (
            Permission(actions=("s3:GetObject",), resources=(Ref("Logs", "objects_arn"),)),
            # The permission has no condition on the prefix, because Airflow expects 404 for missing objects, and S3
            # returns it only with permission to list the bucket.
            Permission(actions=("s3:ListBucket",), resources=(Ref("Logs", "bucket_arn"),)),
        )

    def writers(self) -> tuple[Permission, ...]:
        """See :meth:`LogStore.writers`. A process that writes also reads, to append to an existing log."""
        read, find = self.readers()
        return (Permission(actions=(*read.actions, "s3:PutObject"), resources=read.resources), find)

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        bucket = self.bucket
        if bucket is None:
            bucket = private_bucket(scope, "Tasks", context, prefix="logs/", expire_days=self.expire_days)
        prefix = self.prefix.strip("/")
        return Binding(
            attributes={
                "uri": f"s3://{bucket.bucket_name}/{prefix}",
                "bucket_arn": bucket.bucket_arn,
                "objects_arn": bucket.arn_for_objects(f"{prefix}/*"),
            },
            key=context.bucket_key if self.bucket is None else bucket.encryption_key,
            dependencies=emptying(bucket, context.removal_policy) if self.bucket is None else emptying(bucket),
        )
